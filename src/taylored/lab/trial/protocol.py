"""The training protocol: what is the same for every loss, and where its randomness comes from."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np

from taylored.lab.data import Group, TaskName
from taylored.lab.metrics import MetricName
from taylored.lab.results import Role, TrialResult

# The step of AdamW does not depend on the scale of the loss. So a loss that is merely larger (a
# class weight, a sum of terms) does not look like one with a better learning rate.
OPTIMIZER: Final = "AdamW, cosine decay to zero, no warm-up"
WEIGHT_DECAY: Final = 0.01


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a trial's numbers apart from data, loss, seed and learning rate."""

    seed: int
    model: str
    epochs: int
    batch_size: int
    primary_metric: MetricName
    task: TaskName
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class TrialSpec:
    """Which trial: the loss, its role, the index of the seed and the learning rate."""

    loss: str
    role: Role
    seed: int
    learning_rate: float

    @classmethod
    def of(cls, trial: TrialResult) -> "TrialSpec":
        """The trial that this is the result of."""
        return cls(trial.loss, trial.role, trial.seed, trial.learning_rate)

    @property
    def id(self) -> str:
        """File name of the trial: readable, and unique through the hash of the full loss name."""
        words = "".join(c if c.isalnum() else "-" for c in self.loss).strip("-")[:40]
        digest = sha256(self.loss.encode("utf-8", "surrogatepass")).hexdigest()[:8]
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
