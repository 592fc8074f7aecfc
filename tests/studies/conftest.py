"""Studies in these tests train in copies of the process that runs the tests."""

from collections.abc import Iterator

import pytest

from kit.copied_workers import copied_workers


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    """A module that needs processes of their own has a fixture of this name that does nothing."""
    with copied_workers():
        yield
