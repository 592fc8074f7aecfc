"""The difference of two losses on one metric, with a variance of examples and one of trainings.

Every row is tested once in each repeat, by a model that had not seen it. The difference has two
sources of chance: which examples the data set happens to have, seen in how the rows differ, and how
trainings came out, seen in how the folds differ.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from taylored.lab.measures import Measured

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

POWER: Final = 0.8
"""Probability with which a difference is to be seen, where the lab says what can be seen."""

MOST_REPEATS: Final = 100
"""More repeats than these are never suggested."""

_CONFIDENCE: Final = 0.95
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


@dataclass(frozen=True)
class Estimate:
    """The difference of two losses on one metric, candidate minus baseline.

    Args:
        difference: the estimate D.
        example_variance: variance of D by the choice of rows, V_ex; 0 if the losses do not differ
            on any row.
        example_df: degrees of freedom of V_ex.
        training_noise: the part of V_ex that falls with the number of repeats, times that number.
        training_variance: variance between the trainings of one repeat, s_f^2 (between all
            trainings of a given split); None if there are too few.
        training_df: degrees of freedom of s_f^2.
        folds: models per repeat; 1 for a split that came with the data.
        repeats: how often every row was tested.
        direction: +1 if more is better, -1 if less is.
    """

    difference: float
    example_variance: float
    example_df: float
    training_noise: float
    training_variance: float | None
    training_df: int
    folds: int
    repeats: int
    direction: int = 1

    @property
    def identical(self) -> bool:
        """Whether the two losses give the same on every row that counts."""
        same_rows = self.example_variance == 0 and self.difference == 0
        return same_rows and not self.training_variance

    @property
    def standard_error(self) -> float | None:
        """Standard error of D for new data from this source; None if it cannot be told."""
        if self.training_variance is None or self.identical:
            return None
        error = self._error(self.repeats)[0]
        return error or None

    @property
    def df(self) -> float | None:
        """Degrees of freedom of the standard error (Satterthwaite)."""
        return None if self.standard_error is None else self._error(self.repeats)[1]

    @property
    def low(self) -> float | None:
        """Lower end of the 95 % interval."""
        half = self.half_width(_CONFIDENCE)
        return None if half is None else self.difference - half

    @property
    def high(self) -> float | None:
        """Upper end of the 95 % interval."""
        half = self.half_width(_CONFIDENCE)
        return None if half is None else self.difference + half

    @property
    def p(self) -> float | None:
        """Two-sided p-value of "no difference"."""
        if (error := self.standard_error) is None or self.df is None:
            return None
        return 2 * _probability(-abs(self.difference) / error, self.df)

    @property
    def probability_better(self) -> float | None:
        """Probability that the candidate is better on this source of data, P(better)."""
        if (error := self.standard_error) is None or self.df is None:
            return None
        return _probability(self.direction * self.difference / error, self.df)

    @property
    def within(self) -> float | None:
        """The difference is at most this, either way, at 5 % error on each side."""
        half = self.half_width(0.9)
        return None if half is None else abs(self.difference) + half

    @property
    def se_examples(self) -> float:
        """Standard error by the choice of examples alone."""
        return math.sqrt(self.example_variance)

    @property
    def se_trainings(self) -> float | None:
        """Standard error for the same data again: other initial weights, batches and folds."""
        if self.training_variance is None:
            return None
        return math.sqrt(self.training_variance / (self.folds * self.repeats))

    def half_width(self, confidence: float) -> float | None:
        """Half of the width of the interval; a larger confidence widens it.

        A 90 % interval gives the two one-sided tests of "practically equal".
        """
        if (error := self.standard_error) is None or self.df is None:
            return None
        return _quantile((1 + confidence) / 2, self.df) * error

    def projected_error(self, repeats: int) -> float | None:
        """The standard error that this many repeats would have."""
        return None if self.standard_error is None else self._error(repeats)[0]

    def smallest_visible(self, alpha: float, repeats: int) -> float | None:
        """The true difference that is seen with 80 % power at level ``alpha``.

        A larger ``alpha`` and more ``repeats`` make smaller differences visible; `MOST_REPEATS` is
        about the best that repeats can do.
        """
        if self.standard_error is None:
            return None
        error, df = self._error(repeats)
        return (_quantile(1 - alpha / 2, df) + _quantile(POWER, math.inf)) * error

    def repeats_to_decide(self, true_difference: float, alpha: float) -> int | None:
        """Repeats in all that would see a true difference with 80 % power.

        None if even `MOST_REPEATS` would not, because more repeats do not bring more examples.
        """
        for repeats in range(1, MOST_REPEATS + 1):
            visible = self.smallest_visible(alpha, repeats)
            if visible is not None and abs(true_difference) >= visible:
                return repeats
        return None

    def _error(self, repeats: int) -> tuple[float, float]:
        """Standard error and degrees of freedom with this many repeats."""
        if self.training_variance is None:
            raise ValueError("an estimate without a variance of trainings has no standard error")
        steady = max(self.example_variance - self.training_noise / self.repeats, 0.0)
        examples = steady + self.training_noise / repeats
        trainings, df = self.training_variance, self.training_df
        if self.folds == 1:
            trainings, df = trainings / repeats, df if repeats == self.repeats else repeats - 1
        else:
            # Folds share most of their training rows: beyond two repeats the mean gains nothing.
            trainings /= min(self.folds * repeats, 2 * self.folds)
            df = round(df * repeats / self.repeats)
        total = examples + trainings
        if not total:
            return 0.0, math.inf
        parts = examples**2 / self.example_df + trainings**2 / max(df, 1)
        return math.sqrt(total), total**2 / parts


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


# The functions behind scipy's distributions: a run asks thousands of times, and checking the
# arguments anew each time would take longer than everything else that is concluded.


def _probability(value: float, df: float) -> float:
    """Distribution function of Student's t; of the normal distribution for infinite `df`."""
    from scipy import special

    return float(special.ndtr(value) if math.isinf(df) else special.stdtr(df, value))


def _quantile(probability: float, df: float) -> float:
    """The value below which Student's t lies with a probability."""
    from scipy import special

    known = special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability)
    return float(known)


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
