"""The figures of these reports are drawn: they, and whole pages, are what these tests look at."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def figures() -> None:
    """Nothing is left blank."""
