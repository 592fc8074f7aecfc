"""Which of the generated cases are run: they take turns, or `TAYLORED_GRID=1` runs all of them.

The suites try every loss in every way, and most ways are the engine's affair: each is tried on
losses enough if every loss gets its share of them. What is drawn depends on the names of the tests
alone, so that it is the same everywhere and every day.
"""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256

import pytest

from taylored import catalog

WHOLE_GRID = "TAYLORED_GRID" in os.environ

FAST = not WHOLE_GRID
"""Derivatives along one random direction, instead of along every axis."""

SHARE = 8
"""One of so many cases is run, and at least one of every group."""

by_family = pytest.mark.by_family
"""For tests that take long: a share of each family is run, instead of a share of each loss."""

FAMILY_SHARE = 24
"""One of so many cases of a family, and at least one."""


def waiting(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Those that are not run this time."""
    groups = defaultdict(list)
    for item in items:
        if name := _loss_of(item):
            family = item.get_closest_marker("by_family") is not None
            by = catalog.SPECS[name].family if family else name
            share = FAMILY_SHARE if family else SHARE
            groups[item.nodeid.partition("[")[0], by, share].append(item)
    found: set[pytest.Item] = set()
    for (*_, share), group in groups.items():
        group.sort(key=lambda item: sha256(item.nodeid.encode()).digest())
        found.update(group[math.ceil(len(group) / share) :])
    return found


def _loss_of(item: pytest.Item) -> str | None:
    """The loss that a generated case is about, by its name; planted faults are always run."""
    if "controls" in item.path.name:
        return None
    words = re.findall(r"\w+", item.nodeid.partition("[")[2])
    return next((word for word in words if word in catalog.SPECS), None)
