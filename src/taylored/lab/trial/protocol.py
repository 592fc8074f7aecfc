"""The training protocol: what is the same for every loss, and where its randomness comes from."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np

from taylored.lab.data import Group, TaskName
from taylored.lab.metrics import MetricName
from taylored.lab.tasks import TASKS
from taylored.lab.trial_result import WEIGHT_DECAY, Role, Schedule, TrialResult

# The step of AdamW does not depend on the scale of the loss. So a loss that is merely larger (a
# class weight, a sum of terms) does not look like one with a better learning rate.
OPTIMIZER: Final = "AdamW, cosine decay to zero, no warm-up"
TUNING_SHARE: Final = 3
"""A training that only tries a learning rate has one epoch for so many of a whole training."""


@dataclass(frozen=True)
class Protocol:
    """What decides a trial's numbers apart from data and `TrialSpec`.

    `folds` is 1 where the parts came with the data.
    """

    seed: int
    model: str
    epochs: int
    batch_size: int
    primary_metric: MetricName
    task: TaskName
    groups: tuple[Group, ...]
    folds: int

    @property
    def followed(self) -> tuple[str, ...]:
        """Metrics that are measured on the validation part after every epoch, and on the fold."""
        wanted = (*TASKS[self.task].followed, self.primary_metric)
        return tuple(key for key in dict.fromkeys(wanted) if key != "nll")

    def epochs_of(self, schedule: Schedule) -> int:
        """Epochs of a whole training, or of one that tries a learning rate."""
        return self.epochs if schedule == "full" else max(1, round(self.epochs / TUNING_SHARE))


@dataclass(frozen=True)
class TrialSpec:
    """Which trial: the loss, its role, the fold that is tested, and how it is trained."""

    loss: str
    role: Role
    repeat: int
    fold: int
    learning_rate: float
    schedule: Schedule = "full"
    weight_decay: float = WEIGHT_DECAY

    @classmethod
    def of(cls, trial: TrialResult) -> "TrialSpec":
        """The trial that this is the result of."""
        return cls(
            trial.loss,
            trial.role,
            trial.repeat,
            trial.fold,
            trial.learning_rate,
            trial.schedule,
            trial.weight_decay,
        )

    @property
    def id(self) -> str:
        """File name of the trial: readable, and unique through the hash of the full loss name."""
        words = "".join(c if c.isalnum() else "-" for c in self.loss).strip("-")[:40]
        digest = sha256(self.loss.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        where = f"{self.schedule}-repeat{self.repeat}-fold{self.fold}"
        how = f"lr{self.learning_rate:g}-decay{self.weight_decay:g}"
        return f"{self.role}-{where}-{how}-{words}-{digest}"


@dataclass(frozen=True)
class Streams:
    """Independent random seeds of a trial: initial weights, batch order."""

    weights: int
    batches: int


def streams(seed: int, repeat: int, fold: int) -> Streams:
    """Random seeds of a trial: equal for all losses."""
    weights, batches = np.random.SeedSequence((seed, repeat, fold)).generate_state(2)
    return Streams(int(weights), int(batches))


def fold_seed(seed: int, repeat: int) -> int:
    """Random seed of the folds of a repeat.

    >>> fold_seed(0, 1) == fold_seed(0, 1), fold_seed(0, 1) == fold_seed(0, 2)
    (True, False)
    """
    return int(np.random.SeedSequence((seed, repeat)).generate_state(1)[0])
