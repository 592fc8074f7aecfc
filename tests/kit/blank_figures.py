"""Reports whose figures stay blank: drawing them takes seconds, and most tests look at the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import pytest
from matplotlib.figure import Figure

BLANK = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"/>'


@contextmanager
def blank_figures() -> Iterator[None]:
    """Figures are made with everything on them, and are not drawn."""

    def save(figure: Figure, file: TextIO, **options: Any) -> None:
        file.write(BLANK)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield
