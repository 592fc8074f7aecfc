"""Sending losses through one executor, and keeping the native one idle."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from unittest import mock

import pytest

from taylored.core.engine import blocked, executors, tensor_pass
from taylored.kernels import NATIVE
from taylored.kernels.executor import Native
from taylored.kernels.library import Library

# Where there is a compiler there has to be a native library: then the suites fail without one.
HAS_NATIVE = isinstance(NATIVE, Library) or shutil.which("c++") is not None
PATHS = ("whole", "blocked", "composed", *(("native",) if HAS_NATIVE else ()))
SHORT = "short"


@contextlib.contextmanager
def running(path: str) -> Iterator[None]:
    """Send losses through one way of the engine.

    Besides `PATHS` there is "short", what the torch executors do with small plain calls: elsewhere
    these make a plan too.
    """
    assert path in (*PATHS, SHORT)
    with contextlib.ExitStack() as stack:
        stack.enter_context(executors.only("whole" if path in ("composed", SHORT) else path))
        if path not in ("native", SHORT):
            stack.enter_context(mock.patch.dict(executors._SHORTCUTS, clear=True))
        if path == "blocked":
            stack.enter_context(mock.patch.object(blocked, "BLOCK_ELEMENTS", 7))
        elif path == "composed":
            always = mock.Mock(return_value=True)
            stack.enter_context(mock.patch.object(tensor_pass, "needs_composition", always))
        yield


def torch_alone(patch: pytest.MonkeyPatch) -> None:
    """Keep the native executor idle: a fault planted in Python code would not reach it."""
    patch.setattr(Native, "accepts", lambda self, logits, plan: False)
    patch.setattr(executors, "_SHORTCUTS", {})
