"""Comparisons in these tests train in copies of the process of the tests, and draw nothing."""

from collections.abc import Iterator

import pytest

from kit.blank_figures import blank_figures
from kit.copied_workers import copied_workers


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    """A module that needs processes of their own has a fixture of this name that does nothing."""
    with copied_workers():
        yield


@pytest.fixture(scope="module", autouse=True)
def figures() -> Iterator[None]:
    """Where they are looked at there is a fixture of this name that does nothing."""
    with blank_figures():
        yield
