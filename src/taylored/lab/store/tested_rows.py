"""Which rows of the data a run tested, their labels, and by the model of which fold."""

from dataclasses import dataclass
from typing import Final

ROWS: Final = "rows.json"


@dataclass(frozen=True)
class TestedRows:
    """The content of `rows.json`, from which the outputs in the trials get their rows.

    `rows` are positions in the data as they were read. `labels` has the positions of the classes
    of each row: one, or any number of labels. `folds` has the fold that tested each row, for every
    repeat.
    """

    rows: tuple[int, ...]
    labels: tuple[tuple[int, ...], ...]
    folds: tuple[tuple[int, ...], ...]
