"""The search for the learning rate: a short ladder, climbed further while the best is at its end.

The rate is tuned for cross-entropy and then frozen for all losses, as in the PolyLoss paper (Leng
et al., ICLR 2022), so that the baseline is never the one that was tuned least.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LADDER: Final = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
START: Final = (1e-3, 3e-3, 1e-2, 3e-2)


@dataclass(frozen=True)
class Candidate:
    """A learning rate that was tried; `validation` is None if training diverged."""

    loss: str
    learning_rate: float
    validation: float | None


def next_rates(tried: Sequence[Candidate], direction: int) -> tuple[float, ...]:
    """Rates still to try for one loss: the start of the ladder, then beyond the best end.

    `direction` is +1 when a larger validation value is better and -1 when a smaller one is.

    >>> tried = [Candidate("cross_entropy", rate, 0.5 + 10 * rate) for rate in START]
    >>> next_rates(tried, +1)
    (0.1,)
    """
    rates = {candidate.learning_rate for candidate in tried}
    if not rates:
        return START
    best = best_rate(tried, direction)
    if best is None:
        below = [rate for rate in LADDER if rate < min(rates)]
        return tuple(below[-1:])
    position = LADDER.index(best)
    beside = LADDER[max(0, position - 1) : position + 2]
    return tuple(rate for rate in beside if rate not in rates)


def best_rate(tried: Sequence[Candidate], direction: int) -> float | None:
    """The rate with the best validation value, the smaller one on a tie; None if all diverged."""
    scored = [
        (direction * candidate.validation, -candidate.learning_rate)
        for candidate in tried
        if candidate.validation is not None
    ]
    return -max(scored)[1] if scored else None
