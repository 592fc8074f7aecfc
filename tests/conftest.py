"""What holds for all tests: how processes share them, and that none leaves modules to the next."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

# For a few graphs torch's compiler need not start processes that compile, nor try out whether the
# C++ compiler makes what the processor can do: that costs more than the graphs themselves.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where `tests/losses/test_device.py` runs."""
    parser.addoption("--device", default="cpu", help="a device of torch: cuda, cuda:1, mps, ...")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """File by file in the order of their names, where the last ones are short."""
    from xdist.scheduler import LoadFileScheduling

    if config.getoption("dist") != "load":
        return None  # as asked for
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: every compilation collects garbage, for a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _modules_of_tests_are_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test wrote and imported is gone after it, and so is its folder's path."""
    last, path = next(reversed(sys.modules)), list(sys.path)
    yield
    sys.path[:] = path
    written = str(tmp_path_factory.getbasetemp())
    # Modules are listed in the order of their imports.
    for name in list(takewhile(lambda name: name != last, reversed(sys.modules))):
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and Path(file).is_relative_to(written):
            del sys.modules[name]
