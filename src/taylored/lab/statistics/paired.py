"""The difference of two losses from what each row and each fold contributed to it.

Every row is tested once in each repeat, by a model that had not seen it. How the rows differ shows
the chance in the examples, how the folds differ that in the trainings.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from taylored.lab.measures import Measured
from taylored.lab.statistics.estimate import Estimate

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PRIOR_ROWS: Final = 4  # rows that the variance of the group stands for in that of a class
_B_OF_ONE_REPEAT: Final = 0.75  # share of training noise in V_ex, where one repeat cannot tell
_NOTHING: Final = 1e-12  # a difference between rows that only rounding has made


@dataclass(frozen=True, eq=False)
class Design:
    """How the rows were tested.

    Args:
        strata: the stratum (class) of each row.
        pooled: the number of the group (head, medium, tail) of each stratum; the variance inside a
            small stratum leans on that of its group.
        folds: models per repeat, each for the rows of one fold; 1 for a split that came with the
            data, where a repeat is one training.

    Shape:
        strata (N,); pooled (S,).
    """

    strata: Integers
    pooled: Integers
    folds: int


def compare_measured(candidate: Measured, baseline: Measured, direction: int) -> Estimate | None:
    """The difference of two losses on one metric, from what each row contributed to both.

    Args:
        candidate: the metric of one loss.
        baseline: the same metric of the other, on the same rows and folds.
        direction: +1 if more is better, -1 if less is.

    Returns:
        The estimate; None where one of them lacks the metric, or the metric is never tested.
    """
    if candidate.rows is None or baseline.rows is None:
        return None
    rows = candidate.rows
    return estimate(
        rows.pseudo - baseline.rows.pseudo,
        candidate.by_fold - baseline.by_fold,
        Design(rows.strata, rows.pooled, folds=candidate.by_fold.shape[1]),
        rows.weights,
        direction,
    )


def estimate(
    pseudo_difference: Floats,
    fold_differences: Floats,
    design: Design,
    weights: Floats,
    direction: int = 1,
) -> Estimate:
    """The weighted mean of one difference per row, with both of its variances.

    With h_i the mean over repeats of the differences of row i, D = sum_c w_c mean_{i in c} h_i and
    V_ex = sum_c w_c^2 s_c^2 / N_c, where s_c^2 is the variance of h inside stratum c, shrunk to
    that inside all strata of its group.

    Args:
        pseudo_difference: candidate minus baseline, per repeat and row.
        fold_differences: candidate minus baseline of the metric on each fold; NaN where it does
            not exist.
        design: how the rows were tested.
        weights: one per stratum.
        direction: +1 if more is better, -1 if less is.

    Shape:
        pseudo_difference (R, N); fold_differences (R, K); weights (S,).
    """
    if pseudo_difference.shape[1:] != design.strata.shape:
        raise ValueError(
            f"pseudo_difference must be (repeats, {len(design.strata)}), one column per row of the "
            f"design, got {pseudo_difference.shape}"
        )
    if fold_differences.shape != (len(pseudo_difference), design.folds):
        raise ValueError(
            f"fold_differences must be ({len(pseudo_difference)}, {design.folds}), repeats by "
            f"folds, got {fold_differences.shape}"
        )
    repeats = len(pseudo_difference)
    counted = np.where(np.abs(pseudo_difference) > _NOTHING, pseudo_difference, 0.0)
    mean = counted.mean(axis=0)
    count = np.bincount(design.strata, minlength=len(weights)).astype(np.float64)
    share = np.divide(weights, count, out=np.zeros(len(weights)), where=count > 0)
    centre, squares = _moments(mean, design.strata, count)
    variance = _shrunk(squares, count, design.pooled)
    parts = share * weights * variance
    example_variance = float(parts.sum())
    example_df = math.inf
    if example_variance:
        example_df = example_variance**2 / float((parts**2 / (count + _PRIOR_ROWS - 1)).sum())
    if repeats > 1:
        within = counted.var(axis=0, ddof=1)
        noise = float((share**2 * _sums(within, design.strata, len(weights))).sum())
        noise = min(noise, repeats * example_variance)  # no part is larger than the whole
    else:
        noise = _B_OF_ONE_REPEAT * example_variance
    training_variance, training_df = _between_trainings(fold_differences)
    return Estimate(
        difference=float(weights @ centre),
        example_variance=example_variance,
        example_df=example_df,
        training_noise=noise,
        training_variance=training_variance,
        training_df=training_df,
        folds=design.folds,
        repeats=repeats,
        direction=direction,
    )


def of_trainings(differences: Floats, direction: int = 1) -> Estimate | None:
    """The mean of one difference per training, where nothing is known about single rows.

    Its error is that of other trainings, tested on the same rows. None for fewer than two of them,
    or where one has no number.

    Args:
        differences: one per repeat and fold; a given split has one fold.
        direction: +1 if more is better, -1 if less is.

    Shape:
        differences (R, K).
    """
    repeats, folds = differences.shape
    variance, df = _between_trainings(differences)
    if variance is None or np.isnan(differences).any():
        return None
    return Estimate(
        difference=float(differences.mean()),
        example_variance=0.0,
        example_df=math.inf,
        training_noise=0.0,
        training_variance=variance,
        training_df=df,
        folds=folds,
        repeats=repeats,
        direction=direction,
    )


def _sums(values: Floats, strata: Integers, count: int) -> Floats:
    sums: Floats = np.bincount(strata, weights=values, minlength=count).astype(np.float64)
    return sums


def _moments(values: Floats, strata: Integers, count: Floats) -> tuple[Floats, Floats]:
    """Mean, and sum of squared deviations from it, inside each stratum."""
    sums = _sums(values, strata, len(count))
    mean = np.divide(sums, count, out=np.zeros(len(count)), where=count > 0)
    return mean, _sums((values - mean[strata]) ** 2, strata, len(count))


def _shrunk(squares: Floats, count: Floats, pooled: Integers) -> Floats:
    """Variance inside each stratum: ((N - 1) s^2 + 4 s_group^2) / (N + 3)."""
    groups = int(pooled.max()) + 1
    freedom = _sums(np.maximum(count - 1, 0), pooled, groups)
    total = _sums(squares, pooled, groups)
    # A group of strata with one row each has no variance of its own: that of all rows stands in.
    overall = float(squares.sum()) / max(float(freedom.sum()), 1.0)
    of_group = np.divide(total, freedom, out=np.full(groups, overall), where=freedom > 0)
    shrunk: Floats = (squares + _PRIOR_ROWS * of_group[pooled]) / (count + _PRIOR_ROWS - 1)
    return shrunk


def _between_trainings(differences: Floats) -> tuple[float | None, int]:
    """Variance between the folds of a repeat, a mean over repeats; between trainings if K = 1."""
    rows = differences.T if differences.shape[1] == 1 else differences
    present = [row[~np.isnan(row)] for row in rows]
    enough = [row for row in present if len(row) > 1]
    if not enough:
        return None, 0
    variance = float(np.mean([row.var(ddof=1) for row in enough]))
    return variance, sum(len(row) - 1 for row in enough)
