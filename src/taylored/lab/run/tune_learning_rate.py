"""The search for the learning rate: a short ladder, climbed further while the best is at its end.

By default every loss gets its own: a rate that is shared decides verdicts, because losses differ in
the rate that suits them. The rates are tried in short trainings on the first fold, and judged on
its validation part by the metric of the verdict. A metric with few samples behind it, or one that
does not change, cannot judge: then the likelihood does, which sees every sample.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from taylored.lab.trial_result import LADDER, TriedRate

START: Final = (3e-3, 1e-2, 3e-2)

FEWEST_ROWS: Final = 500
"""Validation rows below which a metric that counts errors is too coarse to choose a rate."""

Wanted = Sequence[tuple[str, float]]
"""Losses with the learning rates to train them with."""


@dataclass(frozen=True)
class Judge:
    """Which of two rates is better: by the metric, where it can tell, else by the likelihood.

    Args:
        direction: +1 where a larger value of the metric is better, else -1.
        coarse: whether the likelihood alone decides.

    """

    direction: int
    coarse: bool

    def best(self, tried: Sequence[TriedRate]) -> TriedRate | None:
        """The best of the rates, the smaller one where nothing tells them apart.

        None if training diverged with all of them.
        """
        return max(filter(_finished, tried), key=self._merit, default=None)

    def tied(self, tried: Sequence[TriedRate]) -> bool:
        """Whether the metric gives all rates, and there are several, the same value."""
        values = {found.validation for found in tried if _finished(found)}
        return len(values) == 1 and sum(map(_finished, tried)) > 1

    def _merit(self, found: TriedRate) -> tuple[float, ...]:
        likelihood = 0.0 if found.nll is None else -found.nll
        if self.coarse or found.validation is None:
            return (likelihood, -found.learning_rate)
        return (self.direction * found.validation, likelihood, -found.learning_rate)


def _finished(found: TriedRate) -> bool:
    return found.validation is not None or found.nll is not None


def tune(
    losses: Sequence[str], train: Callable[[Wanted], Iterable[TriedRate]], judge: Judge
) -> dict[str, list[TriedRate]]:
    """All rates that were tried for each loss, in ascending order.

    `train` runs trainings and says how they did; the losses climb together, so that every call can
    fill all processes.
    """
    tried: dict[str, list[TriedRate]] = {loss: [] for loss in losses}
    while wanted := [(loss, rate) for loss in losses for rate in next_rates(tried[loss], judge)]:
        for found in train(wanted):
            tried[found.loss].append(found)
    return {
        loss: sorted(rates, key=lambda found: found.learning_rate) for loss, rates in tried.items()
    }


def best_rates(tried: Mapping[str, Sequence[TriedRate]], judge: Judge) -> dict[str, float]:
    """The best rate of each loss; a loss that diverged at every rate has none."""
    best = {loss: judge.best(rates) for loss, rates in tried.items()}
    return {loss: found.learning_rate for loss, found in best.items() if found is not None}


def next_rates(tried: Sequence[TriedRate], judge: Judge) -> tuple[float, ...]:
    """Rates still to try for one loss: the start of the ladder, then beyond the best end.

    >>> tried = [TriedRate("cross_entropy", rate, 0.5 + 10 * rate, 1.0) for rate in START]
    >>> next_rates(tried, Judge(direction=+1, coarse=False))
    (0.1,)
    """
    rates = {found.learning_rate for found in tried}
    if not rates:
        return START
    best = judge.best(tried)
    if best is None:
        below = [rate for rate in LADDER if rate < min(rates)]
        return tuple(below[-1:])
    position = LADDER.index(best.learning_rate)
    beside = LADDER[max(0, position - 1) : position + 2]
    return tuple(rate for rate in beside if rate not in rates)
