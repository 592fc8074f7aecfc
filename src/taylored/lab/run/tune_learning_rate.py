"""The search for the learning rate: a short ladder, climbed further while the best is at its end.

By default the rate is tuned for the baseline and then frozen for all losses, as in the PolyLoss
paper (Leng et al., ICLR 2022), so that the baseline is never the loss that was tuned least.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from taylored.lab.results import TriedRate

LADDER: Final = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
START: Final = (1e-3, 3e-3, 1e-2, 3e-2)

Wanted = Sequence[tuple[str, float]]
"""Losses with the learning rates to train them with."""


def tune(
    losses: Sequence[str], train: Callable[[Wanted], Iterable[TriedRate]], *, direction: int
) -> dict[str, list[TriedRate]]:
    """All rates that were tried for each loss, in ascending order.

    `train` runs trainings and says how they did; the losses climb together, so that every call can
    fill all processes. `direction` is +1 when a larger validation value is better, else -1.
    """
    tried: dict[str, list[TriedRate]] = {loss: [] for loss in losses}
    while wanted := [
        (loss, rate) for loss in losses for rate in next_rates(tried[loss], direction)
    ]:
        for found in train(wanted):
            tried[found.loss].append(found)
    return {
        loss: sorted(rates, key=lambda found: found.learning_rate) for loss, rates in tried.items()
    }


def best_rates(tried: Mapping[str, Sequence[TriedRate]], direction: int) -> dict[str, float]:
    """The best rate of each loss; a loss that diverged at every rate has none."""
    best = {loss: best_rate(rates, direction) for loss, rates in tried.items()}
    return {loss: rate for loss, rate in best.items() if rate is not None}


def next_rates(tried: Sequence[TriedRate], direction: int) -> tuple[float, ...]:
    """Rates still to try for one loss: the start of the ladder, then beyond the best end.

    >>> tried = [TriedRate("cross_entropy", rate, 0.5 + 10 * rate) for rate in START]
    >>> next_rates(tried, +1)
    (0.1,)
    """
    rates = {found.learning_rate for found in tried}
    if not rates:
        return START
    best = best_rate(tried, direction)
    if best is None:
        below = [rate for rate in LADDER if rate < min(rates)]
        return tuple(below[-1:])
    position = LADDER.index(best)
    beside = LADDER[max(0, position - 1) : position + 2]
    return tuple(rate for rate in beside if rate not in rates)


def best_rate(tried: Sequence[TriedRate], direction: int) -> float | None:
    """The rate with the best validation value, the smaller one on a tie; None if all diverged."""
    scored = [
        (direction * found.validation, -found.learning_rate)
        for found in tried
        if found.validation is not None
    ]
    return -max(scored)[1] if scored else None
