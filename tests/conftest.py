"""With several processes, the tests of a file stay in one: fixtures like real groups are dear."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """File by file in the order of their names, where the last ones are short."""
    from xdist.scheduler import LoadFileScheduling

    if config.getoption("dist") != "load":
        return None  # as asked for
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)
