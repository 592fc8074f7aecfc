"""Small tensors everywhere: a second thread per worker only waits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kit.traits import ELEMENTWISE, NOT_NATIVE
from kit.turns import WHOLE_GRID, waiting

HERE = Path(__file__).parent

torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where two paths are the same code, one walk is enough; and generated cases take turns."""
    here = [item for item in items if item.path.is_relative_to(HERE)]
    again = {item for item in here if _walked_already(item)}
    if not WHOLE_GRID:
        again |= waiting(item for item in here if item not in again)
    if again:
        config.hook.pytest_deselected(items=list(again))
        items[:] = [item for item in items if item not in again]


def _walked_already(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    path, case = parameters.get("path", "whole"), parameters.get("case")
    if path in ("whole", "blocked") or case is None:
        return False
    return case.call.name in (NOT_NATIVE if path == "native" else ELEMENTWISE)
