"""The shape of a study's ``results.json``: what was claimed, what was found, and the verdict.

Each class is one JSON object and each field one key. The file holds nothing that two runs with one
seed do not share: no times and no versions.
"""

from dataclasses import dataclass
from typing import Final, Literal

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget, DatasetSummary
from taylored.lab.trial_result import LearningRates

SCHEMA: Final = 1
"""Version of this shape."""

Word = Literal["held", "did not hold", "could not be seen"]
"""The verdict on a claim on one data set."""
Confidence = Literal["high", "medium", "low", "ours"]
"""How sure it is that the paper says so: ``high`` was read there, ``medium`` in a second source,
``low`` is quoted from memory and without a number; ``ours`` is derived and not a paper's."""
Scale = Literal["linear", "log", "ticks", "names"]
"""How places lie on the axis of a panel: ``ticks`` at equal distances, ``names`` in no order."""


@dataclass(frozen=True)
class Claim:
    """What a paper claims.

    ``short`` is the claim in a few words, ``text`` in a sentence. ``published`` is the effect that
    it reports, in the words of the paper's numbers; empty where there is none that was read.
    """

    key: str
    short: str
    text: str
    reference: str
    confidence: Confidence
    published: str = ""


@dataclass(frozen=True)
class Quantity:
    """How an effect is written: its unit, the factor for that unit, and digits."""

    label: str
    unit: str
    scale: int
    digits: int

    def value(self, number: float | None) -> str:
        """The text of a value, without its unit.

        >>> Quantity("gap", "decades", 1, 2).value(-0.001), Quantity("gap", "", 1, 1).signed(0.26)
        ('0.00', '+0.3')
        """
        if number is None:
            return "-"
        # A plain format would write "-0.0" for a tiny negative number.
        return f"{round(number * self.scale, self.digits) + 0.0:.{self.digits}f}"

    def signed(self, number: float | None) -> str:
        """The text of an effect with its sign, without its unit."""
        if number is None:
            return "-"
        rounded = round(number * self.scale, self.digits)
        return f"{rounded:+.{self.digits}f}" if rounded else f"{0.0:.{self.digits}f}"


@dataclass(frozen=True)
class Effect:
    """A difference with its 95 % interval.

    ``smallest`` is the true effect that would have been seen with a probability of 80 %. All but
    the value are None where the numbers cannot carry them.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    smallest: float | None = None


@dataclass(frozen=True)
class Finding:
    """One claim on one data set; an effect above 0 is what a claim of "more" says."""

    claim: str
    data: str
    what: str
    quantity: Quantity
    effect: Effect | None
    expected: str
    word: Word
    sentence: str


@dataclass(frozen=True)
class Point:
    """One row of a panel: a value, and its difference to the reference of the panel."""

    series: str
    x: float
    label: str
    value: float | None
    difference: Effect | None = None


@dataclass(frozen=True)
class Panel:
    """A figure and a table: values along an axis, one line for each series.

    ``reference`` names what differences are taken to; where it is empty there are only values.
    ``tabled`` is false for lines with too many points for a table.
    """

    data: str
    title: str
    axis: str
    scale: Scale
    quantity: Quantity
    reference: str
    points: tuple[Point, ...]
    level: float | None = None
    tabled: bool = True


@dataclass(frozen=True)
class Surveyed:
    """One data set of a study: what it is, and how models were trained on it."""

    dataset: DatasetSummary
    model: str
    epochs: int
    batch_size: int
    trainings: int
    learning_rate: LearningRates


@dataclass(frozen=True)
class StudyConfig:
    """What a study was asked; a name of data is None for arrays given in Python.

    ``target`` is the column with the classes, where the data are tables.
    """

    study: str
    data: tuple[str | None, ...]
    target: str | None
    budget: Budget
    repeats: int
    seed: int
    epochs: int | None
    metric: MetricName


@dataclass(frozen=True)
class StudyResults:
    """The content of ``results.json``.

    ``level`` is the limit of significance of each finding, 5 % over the number of them.
    """

    config: StudyConfig
    title: str
    question: str
    headline: str
    claims: tuple[Claim, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    panels: tuple[Panel, ...]
    data: tuple[Surveyed, ...]
    level: float
    schema: int = SCHEMA
