"""The verdict on a loss in one word."""

from typing import Final

from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult, Results, Word
from taylored.lab.tasks import primary_of

EQUAL: Final = 0.01
"""A difference that is surely smaller than this is none in practice: 1 point."""


def word_for(loss: LossResult, primary: Metric, level: float) -> Word:
    """The verdict on a loss; `level` is the limit of significance."""
    if loss.diverged:
        return "diverged"
    plain, free = loss.against_baseline(primary.key), loss.against_free(primary.key)
    if plain.identical:
        return "practically equal"
    if plain.p_corrected is None:
        return "no interval"
    if gains(free, primary) and significant(free, level):
        return "better"
    if _trades_better(loss, primary, level):
        return "better trade-off"
    if significant(plain, level):
        return "free gain" if gains(plain, primary) else "worse"
    if plain.within is not None and plain.within <= EQUAL:
        return "practically equal"
    return "undecided"


def _trades_better(loss: LossResult, primary: Metric, level: float) -> bool:
    """Whether the loss gains, and more than the baseline does at the same price."""
    if loss.matched is None:
        return False
    shown = (loss.matched.versus, loss.against_baseline(primary.key))
    return all(gains(found, primary) and significant(found, level) for found in shown)


def significant(found: Difference, level: float) -> bool:
    """Whether a difference survives the correction for the number of losses."""
    return found.p_corrected is not None and found.p_corrected < level


def gains(found: Difference, metric: Metric) -> bool:
    """Whether a difference is in the good direction of its metric."""
    return (found.difference or 0.0) * metric.direction > 0


def decidable(results: Results) -> list[str]:
    """Losses that are undecided after the repeats so far, and that another may decide."""
    primary = primary_of(results)
    return [
        loss.name
        for loss in results.losses
        if loss.verdict in ("undecided", "free gain")
        and loss.against_free(primary.key).more_would_decide
    ]
