"""The training protocol: what is the same for every loss, and where its randomness comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Final, Literal

import numpy as np

from taylored.lab.data import TaskName

Role = Literal["baseline", "candidate", "control"]
Metric = Literal[
    "balanced_accuracy",
    "accuracy",
    "mean_average_precision",
    "micro_average_precision",
    "head",
    "medium",
    "tail",
    "nll",
]
Budget = Literal["default", "quick"]
TuneLearningRate = Literal["cross_entropy", "each"]

# AdamW's step does not depend on the scale of the loss, so a loss that is merely larger (a class
# weight, a sum of terms) is not mistaken for one with a better learning rate.
OPTIMIZER: Final = "AdamW, cosine decay to zero, no warm-up"
WEIGHT_DECAY: Final = 0.01


@dataclass(frozen=True)
class BudgetPlan:
    """What a budget spends: number of seeds, and optimiser steps per trial."""

    seeds: int
    steps: int


# A step on many labels costs several times that on one class.
BUDGETS: Final[Mapping[TaskName, Mapping[Budget, BudgetPlan]]] = {
    "single-label": {
        "default": BudgetPlan(seeds=5, steps=2200),
        "quick": BudgetPlan(seeds=3, steps=740),
    },
    "multi-label": {
        "default": BudgetPlan(seeds=5, steps=1300),
        "quick": BudgetPlan(seeds=3, steps=600),
    },
}


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a trial's numbers apart from data, loss, seed and learning rate."""

    seed: int
    model: str
    epochs: int
    batch_size: int
    primary_metric: Metric
    task: TaskName
    groups: tuple[str, ...]


@dataclass(frozen=True)
class TrialSpec:
    """One trial: a loss, its role, the index of the seed and the learning rate."""

    loss: str
    role: Role
    seed: int
    learning_rate: float

    @property
    def id(self) -> str:
        """File name of the trial: readable, and unique through the hash of the full loss name."""
        words = "".join(c if c.isalnum() else "-" for c in self.loss).strip("-")[:40]
        digest = sha256(self.loss.encode()).hexdigest()[:8]
        return f"{self.role}-seed{self.seed}-lr{self.learning_rate:g}-{words}-{digest}"


@dataclass(frozen=True)
class Streams:
    """Independent random seeds of a trial: data split, initial weights, batch order."""

    split: int
    weights: int
    batches: int


def streams(seed: int, index: int, role: Role) -> Streams:
    """Random seeds of trial `index`: equal for all losses; a control changes all but the split.

    >>> a, b = streams(0, 3, "candidate"), streams(0, 3, "control")
    >>> a.split == b.split, a.weights == b.weights
    (True, False)
    """
    draw = 1 if role == "control" else 0

    def derive(stream: int, variant: int) -> int:
        sequence = np.random.SeedSequence((seed, index, stream, variant))
        return int(sequence.generate_state(1)[0])

    return Streams(split=derive(0, 0), weights=derive(1, draw), batches=derive(2, draw))


_LARGEST_BATCH: Final[Mapping[TaskName, int]] = {"single-label": 256, "multi-label": 64}


def batch_size_for(train_rows: int, task: TaskName) -> int:
    """At most 256, and small enough for about 20 batches in an epoch (a power of two, >= 16).

    At most 64 for multi-label data: every row teaches all labels, and steps matter more than rows.
    """
    size = _LARGEST_BATCH[task]
    while size > 16 and train_rows / size < 20:
        size //= 2
    return size


def epochs_for(train_rows: int, batch_size: int, steps: int) -> int:
    """Number of epochs that spends about `steps` optimiser steps: between 2 and 100."""
    return max(2, min(100, round(steps / ceil(train_rows / batch_size))))
