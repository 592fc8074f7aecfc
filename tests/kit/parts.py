"""The rows of the parts of one training, as a run draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taylored.lab.data import TEST, TRAIN, VALIDATION, Dataset
from taylored.lab.run.problem import Problem


@dataclass(frozen=True)
class Rows:
    """Numbers of the rows of each part, ascending."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.train, self.validation, self.test


def parts(data: Dataset, seed: int = 0, fold: int = 0) -> Rows:
    """The parts when `fold` is tested, in the first repeat of a run with this seed."""
    part = Problem.draw(data, seed=seed, repeats=1).part(0, fold)
    return Rows(*(np.flatnonzero(part == number) for number in (TRAIN, VALIDATION, TEST)))
