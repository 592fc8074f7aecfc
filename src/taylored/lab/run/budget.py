"""Budgets: how many optimiser steps a run spends on a training, and the epochs that follow."""

from collections.abc import Mapping
from math import ceil
from typing import Final

from taylored.lab.data import TaskName
from taylored.lab.run_config import Budget

# A step on many labels costs several times that on one class.
STEPS: Final[Mapping[TaskName, Mapping[Budget, int]]] = {
    "single-label": {"default": 1100, "quick": 370},
    "multi-label": {"default": 1000, "quick": 330},
}
GIVEN_SPLIT_REPEATS: Final[Mapping[Budget, int]] = {"default": 5, "quick": 3}
"""Trainings of each loss on a split that came with the data. Without one, a repeat is five."""
_LARGEST_BATCH: Final[Mapping[TaskName, int]] = {"single-label": 256, "multi-label": 64}


def batch_size_for(train_rows: int, task: TaskName) -> int:
    """A power of two from 16 to 256, small enough for about 20 batches in an epoch.

    For multi-label data it is at most 64: every row teaches all labels, so the number of steps
    matters more than the number of rows in each.
    """
    size = _LARGEST_BATCH[task]
    while size > 16 and train_rows / size < 20:
        size //= 2
    return size


def epochs_for(train_rows: int, batch_size: int, steps: int) -> int:
    """Number of epochs that spends about `steps` optimiser steps: between 2 and 100."""
    return max(2, min(100, round(steps / ceil(train_rows / batch_size))))
