"""The search for the learning rate: a short ladder, climbed further while the best is at its end.

Where several weight decays are given, each has a ladder of its own, because the two depend on each
other; what is best of all ladders is chosen.

By default every loss gets its own: a rate that is shared decides verdicts, because losses differ in
the rate that suits them. The rates are tried in short trainings on the first fold, and judged on
its validation part by the metric of the verdict. A metric with few samples behind it, or one that
does not change, cannot judge: then the likelihood does, which sees every sample.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from taylored.lab.trial_result import LADDER, WEIGHT_DECAY, TriedRate

START: Final = (3e-3, 1e-2, 3e-2)

FEWEST_ROWS: Final = 500
"""Validation rows below which a metric that counts errors is too coarse to choose a rate."""

Wanted = Sequence[tuple[str, float, float]]
"""Losses with the learning rates and weight decays to train them with."""


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
        """The best of those tried, the smaller one where nothing tells them apart.

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
            return (likelihood, -found.learning_rate, -found.weight_decay)
        metric = self.direction * found.validation
        return (metric, likelihood, -found.learning_rate, -found.weight_decay)


def _finished(found: TriedRate) -> bool:
    return found.validation is not None or found.nll is not None


def tune(
    losses: Sequence[str],
    train: Callable[[Wanted], Iterable[TriedRate]],
    judge: Judge,
    decays: Sequence[float] = (WEIGHT_DECAY,),
    rate: float | None = None,
) -> dict[str, list[TriedRate]]:
    """All that was tried for each loss, by rate and weight decay.

    `train` runs trainings and says how they did; the losses climb together, so that every call can
    fill all processes. A `rate` that is given is the only one.
    """
    tried: dict[tuple[str, float], list[TriedRate]] = {
        (loss, decay): [] for loss in losses for decay in decays
    }

    def following(known: Sequence[TriedRate]) -> tuple[float, ...]:
        if rate is None:
            return next_rates(known, judge)
        return () if known else (rate,)

    while wanted := [(loss, each, d) for (loss, d), k in tried.items() for each in following(k)]:
        for found in train(wanted):
            tried[found.loss, found.weight_decay].append(found)
    return {
        loss: sorted(
            (found for decay in decays for found in tried[loss, decay]),
            key=lambda found: (found.weight_decay, found.learning_rate),
        )
        for loss in losses
    }


def best_tried(tried: Mapping[str, Sequence[TriedRate]], judge: Judge) -> dict[str, TriedRate]:
    """The best for each loss; a loss that always diverged has none."""
    best = {loss: judge.best(found) for loss, found in tried.items()}
    return {loss: found for loss, found in best.items() if found is not None}


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
