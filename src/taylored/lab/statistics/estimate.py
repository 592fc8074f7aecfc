"""The difference of two losses on one metric, and what follows from its two variances.

The difference has two sources of chance: which examples the data set happens to have, and how the
trainings came out.
"""

import math
from dataclasses import dataclass
from typing import Final

POWER: Final = 0.8
"""Probability with which a difference is to be seen, where the lab says what can be seen."""

MOST_REPEATS: Final = 100
"""More repeats than these are never suggested."""

_CONFIDENCE: Final = 0.95


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
