"""The rows of the results table, as texts with the numbers that they are sorted by."""

from collections.abc import Mapping
from dataclasses import dataclass

from taylored.lab.judgement.words import gains as improves
from taylored.lab.metrics import Metric
from taylored.lab.report.columns import other_columns
from taylored.lab.report.figures.palette import strokes
from taylored.lab.results import Difference, LossResult, Results
from taylored.lab.tasks import primary_of
from taylored.lab.trial_result import Role
from taylored.lab.wording import MISSING, p_text, typeset


@dataclass(frozen=True)
class Cell:
    """A text, the number it is sorted by, small print, and "better", "worse" or no mark."""

    text: str
    sort: float | None = None
    small: str = ""
    mark: str = ""


@dataclass(frozen=True)
class LossRow:
    """One loss: the metric of the verdict, its differences, its word, and the other metrics."""

    name: str
    role: Role
    colour: str
    value: Cell
    plain: tuple[Cell, ...]
    free: tuple[Cell, ...]
    word: str
    others: tuple[Cell, ...]


def loss_rows(results: Results) -> list[LossRow]:
    """One row per loss; the cells of a difference are its size, P(better), and corrected p."""
    primary, others = primary_of(results), other_columns(results)
    several = has_free_reference(results)
    return [
        LossRow(
            name=loss.name,
            role=loss.role,
            colour=stroke.colour.variable,
            value=Cell(primary.value(loss.metrics[primary.key]), loss.metrics[primary.key]),
            plain=_difference(_of(loss.versus_baseline, primary), primary),
            free=_difference(_of(loss.versus_free, primary), primary) if several else (),
            word=word_in(loss, results),
            others=tuple(_other(loss, metric) for metric in others),
        )
        for loss, stroke in strokes(results.losses)
    ]


def has_free_reference(results: Results) -> bool:
    """Whether the losses are measured against something besides the baseline as it is."""
    return any(loss.versus_free is not None for loss in results.losses)


def word_in(loss: LossResult, results: Results) -> str:
    """The verdict on a loss as the tables say it; nothing for the baseline."""
    if loss.diverged:
        way = "failed" if loss.failed else "diverged"
        return f"{way} {loss.diverged}/{len(loss.trials)}"
    if loss.role == "free":
        return "free reference" if loss.name == results.verdict.free else "free"
    return str(loss.verdict) if loss.verdict else ""


def interval_text(found: Difference, metric: Metric) -> str:
    """The interval as ``-0.4 to +1.2``, or a dash where there is none."""
    if found.low is None:
        return MISSING
    return f"{metric.difference(found.low)} to {metric.difference(found.high)}"


def half_width_text(found: Difference, metric: Metric) -> str:
    """Half the width of the interval, ``± 2.4``; nothing where there is none."""
    if found.low is None or found.high is None:
        return ""
    return f"± {metric.value((found.high - found.low) / 2)}"


def probability_text(found: Difference) -> str:
    """P(better) in percent, without more digits than it can have."""
    p = found.probability_better
    if p is None:
        return MISSING
    if not 0.001 <= p <= 0.999:
        return "> 99.9 %" if p > 0.5 else "< 0.1 %"
    return f"{100 * p:.{0 if 0.01 <= p <= 0.99 else 1}f} %"


def _of(found: Mapping[str, Difference] | None, metric: Metric) -> Difference | None:
    return None if found is None else found.get(metric.key)


def _difference(found: Difference | None, metric: Metric) -> tuple[Cell, ...]:
    if found is None or found.difference is None:
        return (Cell(""), Cell(""), Cell(""))
    if found.identical:
        return (Cell("identical", 0.0), Cell(""), Cell(""))
    mark = "" if not found.beyond_noise else "better" if improves(found, metric) else "worse"
    size = typeset(metric.difference(found.difference))
    corrected = "" if found.p_corrected is None else p_text(found.p_corrected)
    return (
        Cell(size, found.difference, half_width_text(found, metric), mark),
        Cell(probability_text(found), found.probability_better),
        Cell(corrected, found.p_corrected),
    )


def _other(loss: LossResult, metric: Metric) -> Cell:
    found = _of(loss.versus_baseline, metric)
    mark = ""
    if found is not None and found.beyond_noise:
        mark = "better" if improves(found, metric) else "worse"
    value = loss.metrics[metric.key]
    return Cell(typeset(metric.value(value)), value, mark=mark)
