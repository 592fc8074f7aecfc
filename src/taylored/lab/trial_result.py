"""What came of one training, and of the search for the learning rates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from taylored.lab.run_config import TuneLearningRate

Role = Literal["baseline", "free", "candidate"]
"""``free`` is the baseline after an adjustment that needs no training."""
Schedule = Literal["full", "third"]
LADDER: Final = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""The learning rates that may be tried."""
WEIGHT_DECAY: Final = 0.01
DECAYS: Final = (1e-3, 1e-2, 1e-1)
"""The weight decays that are tried where they are to be tuned."""


@dataclass(frozen=True)
class TriedRate:
    """A learning rate and weight decay that were tried: metric of the verdict, and likelihood.

    Both are those of the validation part after the last epoch; None if training diverged.
    """

    loss: str
    learning_rate: float
    validation: float | None
    nll: float | None
    weight_decay: float = WEIGHT_DECAY


@dataclass(frozen=True)
class LearningRates:
    """The learning rate and the weight decay of each loss, and how they were found.

    ``judged_by`` is what the rates were chosen by: the metric, or the likelihood where the metric
    is too coarse. ``tied`` names losses whose rates the metric could not tell apart.
    """

    chosen: Mapping[str, float]
    tuned: TuneLearningRate | Literal["fixed"]
    judged_by: str
    tied: tuple[str, ...]
    candidates: tuple[TriedRate, ...]
    decays: Mapping[str, float] = field(default_factory=dict)

    @property
    def tuned_decay(self) -> bool:
        """Whether several weight decays were tried."""
        return len({found.weight_decay for found in self.candidates}) > 1


@dataclass(frozen=True)
class TrialResult:
    """One loss trained once, and tested on one fold.

    ``repeat`` and ``fold`` count from 0; a split that came with the data has one fold.
    ``gradient_ratio`` is the positive to negative gradient of each class over the whole training.
    ``curve`` has one entry per epoch. A trial that diverged has a curve up to that epoch and
    nothing else. One that failed, because the user's code raised an error or ended its process, has
    nothing at all.
    """

    loss: str
    role: Role
    repeat: int
    fold: int
    learning_rate: float
    schedule: Schedule
    status: Literal["ok", "diverged", "failed"]
    metrics: Mapping[str, float | None]
    curve: tuple[Mapping[str, float], ...]
    gradient_ratio: tuple[float, ...] | None = None
    weight_decay: float = WEIGHT_DECAY

    def validation(self, metric: str) -> float | None:
        """Value of the metric on the validation part after the last epoch."""
        if self.status != "ok":
            return None
        return self.curve[-1].get(validation_key(metric))


def validation_key(metric: str) -> str:
    """Key of a validation metric in the entries of a curve."""
    return f"validation_{metric}"


def ratio_key(group: str) -> str:
    """Key of a group's median gradient ratio in the entries of a curve."""
    return f"gradient_ratio_{group}"
