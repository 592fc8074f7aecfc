"""What a study is: its claims, what it trains, and how it concludes; one file declares each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget, TuneLearningRate
from taylored.lab.statistics.estimate import Estimate
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import Claim, Panel, Quantity

POINTS: Final = Quantity("accuracy", "points", 100, 1)
"""Accuracies and their differences."""
EQUAL: Final = 0.01
"""An effect that is surely smaller than this is none in practice: 1 point."""
BASELINE: Final = Setting("cross_entropy")

Expected = Literal["more", "no more"]
"""Whether a claim says that an effect is there, or that it is none in practice."""


@dataclass(frozen=True)
class Evidence:
    """An effect that decides about a claim, before it is judged.

    Args:
        claim: the key of the claim.
        what: the effect in words, such as "poly(epsilon=2) minus cross_entropy".
        estimate: the effect, oriented so that more of it is what a claim of "more" says; None where
            there is none.
        quantity: how it is written.
        expected: what the claim says about the effect.
        margin: an effect that is surely below this is none in practice.
        missing: why there is no estimate.
    """

    claim: str
    what: str
    estimate: Estimate | None
    quantity: Quantity = POINTS
    expected: Expected = "more"
    margin: float = EQUAL
    missing: str = "a training diverged"


@dataclass(frozen=True)
class Conclusion:
    """What one data set says: evidence for the claims, panels, and remarks."""

    evidence: Sequence[Evidence]
    panels: Sequence[Panel] = ()
    remarks: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Study:
    """A study as it is declared.

    Args:
        name: on the command line.
        title: what it is about, in a few words.
        question: what it asks.
        claims: what the papers say.
        metric: what learning rates and settings are chosen by, on validation data.
        tune: whose learning rate is tuned; a quick study tunes that of cross-entropy alone. None
            where every setting names its own.
        settings: what is trained besides cross-entropy, by budget.
        conclude: from the trainings on one data set to the evidence.
        followed: a loss whose gradient is measured at every step of separate trainings.
    """

    name: str
    title: str
    question: str
    claims: tuple[Claim, ...]
    metric: MetricName
    tune: TuneLearningRate | None
    settings: Callable[[Budget], Sequence[Setting]]
    conclude: Callable[[Ground], Conclusion]
    followed: str | None = None
