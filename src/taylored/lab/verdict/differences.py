"""Paired differences between losses, with p-values corrected for the number of losses."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult
from taylored.lab.verdict.statistics import SIGNIFICANCE, PairedComparison, compare_paired, holm


def with_differences(
    losses: Sequence[LossResult], metrics: Sequence[str], ratio: float
) -> list[LossResult]:
    """The losses with their differences to the baseline in every metric.

    Holm's correction runs over the candidates, within each metric. The control is a family of its
    own, so its p-value stays as it is. `ratio` is ``n_test / n_train``, see `compare_paired`.
    """
    baseline = next(loss for loss in losses if loss.role == "baseline")
    others = [loss for loss in losses if loss is not baseline]
    columns = {metric: _differences(others, baseline, metric, ratio) for metric in metrics}
    compared = iter(
        replace(loss, versus_baseline={metric: columns[metric][index] for metric in metrics})
        for index, loss in enumerate(others)
    )
    return [loss if loss is baseline else next(compared) for loss in losses]


def by_gain(losses: Sequence[LossResult], primary: Metric) -> list[LossResult]:
    """Losses that have a difference to the baseline, from the largest improvement down."""

    def worsening(loss: LossResult) -> float:
        return -primary.direction * (loss.against_baseline(primary.key).difference or 0.0)

    return sorted(losses, key=worsening)


def level_with_best(
    winners: Sequence[LossResult], primary: Metric, ratio: float
) -> tuple[str, ...]:
    """Names of the winners that cannot be told apart from the first, which is included.

    Which loss comes out on top is itself chosen by the noise. Therefore all pairs of winners form
    the family of the correction, not only the pairs with the apparent best.
    """
    tested = {
        (mine.name, other.name): _paired(mine, other, primary.key, ratio).p
        for mine, other in combinations(winners, 2)
    }
    known = {pair: p for pair, p in tested.items() if p is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return tuple(
        loss.name
        for loss in winners
        if corrected.get((winners[0].name, loss.name), 1.0) >= SIGNIFICANCE
    )


def _differences(
    losses: Sequence[LossResult], baseline: LossResult, metric: str, ratio: float
) -> list[Difference]:
    """The difference of each loss in one metric, corrected; not yet marked as beyond noise."""
    paired = [_paired(loss, baseline, metric, ratio) for loss in losses]
    family = {
        index: found.p
        for index, (loss, found) in enumerate(zip(losses, paired, strict=True))
        if loss.role == "candidate" and found.p is not None
    }
    corrected = dict(zip(family, holm(list(family.values())), strict=True))
    return [
        Difference(
            found.difference,
            found.low,
            found.high,
            found.p,
            found.n,
            p_corrected=found.p if loss.role == "control" else corrected.get(index),
        )
        for index, (loss, found) in enumerate(zip(losses, paired, strict=True))
    ]


def _paired(mine: LossResult, other: LossResult, metric: str, ratio: float) -> PairedComparison:
    """Compare two losses over the seeds in which both have the metric."""
    values = {trial.seed: trial.metrics[metric] for trial in mine.worked}
    pairs = [
        (value, reference)
        for trial in other.worked
        if (value := values.get(trial.seed)) is not None
        and (reference := trial.metrics[metric]) is not None
    ]
    return compare_paired(
        [value for value, _ in pairs],
        [reference for _, reference in pairs],
        test_fraction_ratio=ratio,
    )
