"""The shape of ``results.json``: what a comparison was asked, what it measured, what it found.

Each class is one JSON object and each field one key (`taylored.lab.records` reads and writes them).
The file holds nothing that two runs with one seed do not share: no times and no versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from taylored.lab.data import Group, Kind, Reading, TaskName
from taylored.lab.metrics import MetricName

SCHEMA: Final = 1
"""Version of this shape."""

Budget = Literal["default", "quick"]
TuneLearningRate = Literal["cross_entropy", "each"]
Role = Literal["baseline", "candidate", "control"]
Word = Literal[
    "better", "worse", "no difference", "no interval", "diverged", "differs", "untrusted"
]
"""The verdict on a loss in one word. ``differs`` is said of a control that failed, ``untrusted`` of
every other difference in its run."""


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked to do, with every default resolved.

    ``data`` is None for arrays given in Python. ``learning_rate`` is None when it is tuned, for the
    losses that ``tune_lr`` names.
    """

    losses: tuple[str, ...]
    data: str | None
    target: str | None
    reading: Reading
    model: str
    budget: Budget
    seeds: int
    seed: int
    epochs: int
    batch_size: int
    primary_metric: MetricName
    tune_lr: TuneLearningRate
    learning_rate: float | None
    optimizer: str
    weight_decay: float


@dataclass(frozen=True)
class DatasetSummary:
    """The card of the data set, its classes, and the parts that were drawn from it.

    ``train_counts`` are training samples of each class, for multi-label data positives of each
    label in the first seed. ``rows`` are the samples in each part.
    """

    name: str
    kind: Kind
    task: TaskName
    source: str
    licence: str
    description: str
    citation: str
    samples: int
    classes: int
    largest_class: int
    smallest_class: int
    dropped: tuple[tuple[str, int], ...]
    dropped_reason: str
    notes: tuple[str, ...]
    fingerprint: str
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    groups: tuple[Group, ...]
    group_rule: str
    rows: Mapping[str, int]
    split: str


@dataclass(frozen=True)
class TriedRate:
    """A learning rate that was tried; ``validation`` is None if training diverged."""

    loss: str
    learning_rate: float
    validation: float | None


@dataclass(frozen=True)
class LearningRateChoice:
    """The learning rate of all losses, or of each loss by name, and how it was found."""

    chosen: float | Mapping[str, float]
    tuned: TuneLearningRate | Literal["fixed"]
    candidates: tuple[TriedRate, ...]


@dataclass(frozen=True)
class TrialResult:
    """One loss trained with one seed: test metrics at the epoch chosen on validation.

    The task decides which of ``recall`` and ``average_precision`` has one number per class; the
    other is None. ``gradient_ratio`` is the positive to negative gradient of each class over the
    whole training. ``curve`` has one entry per epoch. A trial that diverged has a curve up to that
    epoch and nothing else. One that failed, because the user's code raised an error or ended its
    process, has nothing at all.
    """

    loss: str
    role: Role
    seed: int
    learning_rate: float
    status: Literal["ok", "diverged", "failed"]
    metrics: Mapping[str, float | None]
    curve: tuple[Mapping[str, float], ...]
    best_epoch: int | None = None
    recall: tuple[float | None, ...] | None = None
    average_precision: tuple[float | None, ...] | None = None
    gradient_ratio: tuple[float, ...] | None = None

    def validation(self, metric: str) -> float | None:
        """Value of the metric on the validation part at the chosen epoch."""
        if self.best_epoch is None:
            return None
        return self.curve[self.best_epoch - 1][validation_key(metric)]


@dataclass(frozen=True)
class GainCurve:
    """The gradient of a loss relative to that of the baseline, at probabilities of the truth."""

    p: tuple[float, ...]
    g: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """Mean paired difference to the baseline in one metric, with its 95 % interval.

    ``n`` is the number of seeds in which both losses have the metric. Interval and p-values are
    None where the seeds cannot carry them. ``p_corrected`` holds for all losses at once.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    p_corrected: float | None = None
    beyond_noise: bool = False


@dataclass(frozen=True)
class LossResult:
    """Everything about one loss: its trials, their means, and the verdict on it.

    ``diverged`` counts the trials without numbers, those that failed included.
    ``gain`` and ``formula`` are None for losses that have none. The baseline has neither
    differences nor a verdict.
    """

    name: str
    role: Role
    gain: GainCurve | None
    formula: str | None
    trials: tuple[TrialResult, ...]
    diverged: int
    mean: Mapping[str, float | None]
    standard_deviation: Mapping[str, float | None]
    versus_baseline: Mapping[str, Difference] | None = None
    verdict: Word | None = None

    @property
    def failed(self) -> int:
        """How many trials have no numbers because the code behind them failed."""
        return sum(trial.status == "failed" for trial in self.trials)

    @property
    def worked(self) -> tuple[TrialResult, ...]:
        """The trials that neither diverged nor failed."""
        return tuple(trial for trial in self.trials if trial.status == "ok")

    def against_baseline(self, metric: str) -> Difference:
        """The difference to the baseline; an error for the baseline itself."""
        if self.versus_baseline is None:
            raise ValueError(f"{self.name} is the baseline: it has no difference to itself")
        return self.versus_baseline[metric]


@dataclass(frozen=True)
class StatisticalTest:
    """How the differences were tested."""

    test: str
    test_fraction_ratio: float
    confidence: float
    significance: float
    correction: str


@dataclass(frozen=True)
class Verdict:
    """What the differences show, in words.

    ``ranking`` names the losses that are better than the baseline beyond noise, the largest
    difference first; ``tied`` those of them that cannot be told apart from the first.
    """

    headline: str
    sentences: tuple[str, ...]
    ranking: tuple[str, ...]
    tied: tuple[str, ...]


@dataclass(frozen=True)
class ControlCheck:
    """Whether the baseline differs from itself; ``passed`` is None where nothing can be judged."""

    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class Results:
    """The content of ``results.json``."""

    config: RunConfig
    dataset: DatasetSummary
    learning_rate: LearningRateChoice
    primary_metric: MetricName
    statistics: StatisticalTest
    losses: tuple[LossResult, ...]
    verdict: Verdict
    control: ControlCheck
    schema: int = SCHEMA

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return max(len(loss.trials) for loss in self.losses)


def validation_key(metric: str) -> str:
    """Key of a validation metric in the entries of a curve."""
    return f"validation_{metric}"


def ratio_key(group: str) -> str:
    """Key of a group's median gradient ratio in the entries of a curve."""
    return f"gradient_ratio_{group}"
