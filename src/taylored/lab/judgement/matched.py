"""The baseline at the price of a loss: its scores moved until it pays as much as the loss does.

A loss that gains balanced accuracy and pays with overall accuracy is worth having only if the
baseline, moved along its tau curve to the same overall accuracy, gains less. Near the top of that
curve a price hardly says how far to move, and chance decides. So the baseline pays a point at
least: a loss that pays less is compared with more than its price would buy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.judgement.trained import Trained
from taylored.lab.measures import Measured, measure_decisions
from taylored.lab.measures.adjust import TauPoint, adjusting, decisions

_STEP = 0.1
_FLAT = 1e-3  # change of the price over two steps below which the curve has no slope there
_STEEPEST = 5.0
_LEAST_PAID = 0.01
"""What the baseline pays at least, below the best of its curve: 1 point."""


@dataclass(frozen=True, eq=False)
class AtPrice:
    """Metrics of the baseline and of a loss at one price.

    Both metrics take into account that the move was chosen by the price, which is itself measured.
    """

    tau: float
    loss: Measured
    baseline: Measured


def at_price(
    loss: Trained,
    baseline: Trained,
    curve: Sequence[TauPoint],
    priors: Tensor,
    groups: Sequence[Group],
    primary: str,
    price: str,
) -> AtPrice | None:
    """The baseline at the price of the loss; None where the two metrics are no trade-off.

    Args:
        loss: what is compared.
        baseline: the loss that is moved.
        curve: the trade-off of the baseline.
        priors: log of the share of each class in the training rows of each model, (R, K, C).
        groups: head, medium or tail for each class.
        primary: the metric that is gained.
        price: the metric that is paid with.
    """
    if {primary, price} != {"balanced_accuracy", "accuracy"}:
        return None
    if loss.tested is None or baseline.tested is None or not curve:
        return None
    keys = (primary, price)
    mine = measure_decisions(loss.tested.decided, groups, keys)
    dearest = max(point.values[price] or 0.0 for point in curve) - _LEAST_PAID
    paid = mine[price].value or 0.0
    tau = _where(curve, price, min(paid, dearest), up=price == "accuracy")
    known = priors.to(baseline.tested.scores.dtype)
    moves = [adjusting(known, by) for by in (tau - _STEP, tau, tau + _STEP)]
    below, theirs, above = (
        measure_decisions(decided, groups, keys) for decided in decisions(baseline.tested, moves)
    )
    # A loss that pays less than the baseline then does has no price to be made equal.
    slope = _slope(below, above, primary, price) if paid < dearest else 0.0
    return AtPrice(
        tau,
        _along(mine[primary], mine[price], slope),
        _along(theirs[primary], theirs[price], slope),
    )


def _where(curve: Sequence[TauPoint], price: str, wanted: float, *, up: bool) -> float:
    """The tau at which the price is paid, by linear interpolation; the best tau if none is dear.

    Overall accuracy falls as tau rises from its best (`up`), balanced accuracy as tau falls.
    """
    values = [point.values[price] or 0.0 for point in curve]
    best = int(np.argmax(values))
    side = range(best, len(curve)) if up else range(best, -1, -1)
    x = [curve[index].tau for index in side]
    y = np.minimum.accumulate([values[index] for index in side])
    if wanted >= y[0]:
        return x[0]
    return float(np.interp(-wanted, -y, x))


def _slope(
    below: dict[str, Measured], above: dict[str, Measured], primary: str, price: str
) -> float:
    """What the primary metric gains for each unit of the price; at least nothing is paid for it."""
    gained = (above[primary].value or 0.0) - (below[primary].value or 0.0)
    paid = (above[price].value or 0.0) - (below[price].value or 0.0)
    if abs(paid) < _FLAT:
        return 0.0
    return float(np.clip(gained / paid, -_STEEPEST, 0.0))


def _along(primary: Measured, price: Measured, slope: float) -> Measured:
    """The primary metric less what the price explains, with a value for every row."""
    rows, paid = primary.rows, price.rows
    assert rows is not None  # noqa: S101 - accuracies are means over rows
    assert paid is not None  # noqa: S101
    scale = np.divide(
        paid.weights, rows.weights, out=np.zeros_like(rows.weights), where=rows.weights > 0
    )
    pseudo = rows.pseudo - slope * scale[rows.strata] * paid.pseudo
    value = (primary.value or 0.0) - slope * (price.value or 0.0)
    by_fold = primary.by_fold - slope * price.by_fold
    return Measured(value, by_fold, replace(rows, pseudo=pseudo))
