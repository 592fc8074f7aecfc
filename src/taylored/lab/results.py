"""The shape of ``results.json``: what a comparison was asked, what it measured, what it found.

Each class is one JSON object and each field one key (`taylored.lab.records` reads and writes them).
The file holds nothing that two runs with one seed do not share: no times and no versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from taylored.lab.measures.adjust import TauPoint
from taylored.lab.measures.calibration import ReliabilityBin
from taylored.lab.metrics import MetricName
from taylored.lab.run_config import DatasetSummary, RunConfig
from taylored.lab.trial_result import LearningRates, Role, TrialResult

SCHEMA: Final = 2
"""Version of this shape."""

Word = Literal[
    "better",
    "better trade-off",
    "worse",
    "free gain",
    "practically equal",
    "undecided",
    "no interval",
    "diverged",
]
"""The verdict on a loss in one word. ``better``: than the best that the baseline reaches for
nothing. ``better trade-off``: than the baseline that was moved to the same price. ``free gain``:
than the baseline as it is, and not shown to be better than what it reaches for nothing."""


@dataclass(frozen=True)
class GainCurve:
    """The gradient of a loss relative to that of the baseline, at probabilities of the truth."""

    p: tuple[float, ...]
    g: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """Difference to a reference in one metric.

    ``low`` and ``high`` bound its 95 % interval, for new data from the same source;
    ``probability_better`` is the probability that the loss is better at all, ``within`` a bound on
    the size of the difference, either way. ``standard_error`` has a part from the
    ``examples`` that were drawn and a part from the ``trainings``. All are None where the numbers
    cannot carry them. ``p_corrected`` holds for all losses at once. ``smallest`` is the difference
    that this run would have shown with a probability of 80 %, ``repeats`` how many repeats would
    show one of 3 points so, None if no number would. ``more_would_decide`` says whether one more
    repeat would show a difference as large as this one.
    """

    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    probability_better: float | None = None
    within: float | None = None
    standard_error: float | None = None
    examples: float | None = None
    trainings: float | None = None
    p_corrected: float | None = None
    beyond_noise: bool = False
    smallest: float | None = None
    repeats: int | None = None
    more_would_decide: bool = False
    identical: bool = False


@dataclass(frozen=True)
class Likelihood:
    """Likelihood and calibration error, before and after cross-fitted recalibration.

    Before are the probabilities of the loss itself. The errors are debiased: ``resolution`` is what
    a perfectly calibrated model would show here. ``bins`` are the diagram after recalibration.
    """

    raw_nll: float
    nll: float
    raw_ece: float
    ece: float
    resolution: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Adjusted:
    """A loss after the adjustment of its scores that is best for the metric of the verdict."""

    tau: float
    metrics: Mapping[str, float | None]
    versus_free: Difference


@dataclass(frozen=True)
class Matched:
    """The baseline with its scores moved by ``tau`` until it pays the same ``price`` as a loss."""

    tau: float
    price: str
    versus: Difference


@dataclass(frozen=True)
class BinaryResult:
    """How the rarer of two classes is found; ``confusion`` has the true class first."""

    positive: int
    precision: float | None
    recall: float | None
    f1: float | None
    confusion: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class LossResult:
    """Everything about one loss: its trials, their metrics, and the verdict on it.

    ``metrics`` are those of all tested rows, ``spread`` their standard deviations over the folds.
    ``versus_baseline`` is the difference to the baseline as it is, ``versus_free`` that to the best
    of what the baseline reaches without another training, None where that is the baseline itself.
    ``diverged`` counts the trials without numbers, those that failed included. ``gain`` and
    ``formula`` are None for losses that have none.
    """

    name: str
    role: Role
    gain: GainCurve | None
    formula: str | None
    learning_rate: float | None
    trials: tuple[TrialResult, ...]
    diverged: int
    metrics: Mapping[str, float | None]
    spread: Mapping[str, float | None]
    class_scores: tuple[float | None, ...]
    likelihood: Likelihood | None = None
    binary: BinaryResult | None = None
    trade_off: tuple[TauPoint, ...] = ()
    adjusted: Adjusted | None = None
    matched: Matched | None = None
    versus_baseline: Mapping[str, Difference] | None = None
    versus_free: Mapping[str, Difference] | None = None
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

    def against_free(self, metric: str) -> Difference:
        """The difference to the best that the baseline reaches for nothing."""
        return (self.versus_free or self.versus_baseline or {})[metric]


@dataclass(frozen=True)
class StatisticalTest:
    """How the differences were tested."""

    test: str
    folds: int
    repeats: int
    confidence: float
    significance: float
    correction: str


@dataclass(frozen=True)
class Verdict:
    """What the differences show, in words.

    ``ranking`` names the losses that are better than the best free reference, ``free`` that
    reference, ``tied`` those of the ranking that cannot be told apart from the first.
    ``warnings`` are what a reader has to know before anything else.
    """

    headline: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    ranking: tuple[str, ...]
    tied: tuple[str, ...]
    free: str


@dataclass(frozen=True)
class Results:
    """The content of ``results.json``."""

    config: RunConfig
    dataset: DatasetSummary
    learning_rate: LearningRates
    primary_metric: MetricName
    statistics: StatisticalTest
    losses: tuple[LossResult, ...]
    verdict: Verdict
    schema: int = SCHEMA

    @property
    def trainings(self) -> int:
        """The number of models that were tested for the baseline."""
        return self.statistics.repeats * self.statistics.folds
