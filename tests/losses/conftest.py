"""Small tensors everywhere: a second thread per worker only waits."""

from __future__ import annotations

import pytest
import torch

from kit.traits import ELEMENTWISE, NOT_NATIVE

torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where two paths are the same code, one walk is enough."""
    again = [item for item in items if _walked_already(item)]
    if again:
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if not _walked_already(item)]


def _walked_already(item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    path, case = parameters.get("path", "whole"), parameters.get("case")
    if path in ("whole", "blocked") or case is None:
        return False
    return case.call.name in (NOT_NATIVE if path == "native" else ELEMENTWISE)
