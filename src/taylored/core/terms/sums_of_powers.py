"""Terms that are a sum over many powers of q, with their slope in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.logistic import expm1, log_one_minus_exp, log_softplus
from taylored.core.numerics import SignedLog
from taylored.core.terms.known_slope import with_known_slope
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series, collect, log_of_value
from taylored.core.terms.term import Term
from taylored.core.terms.truncated_sum import polynomial, tail_of_sum, truncated_sum
from taylored.core.written import literal


@dataclass(frozen=True, eq=False, repr=False)
class Truncated(Term):
    """Terms of the cross-entropy series up to the n-th, in constant memory for any n.

    Attributes:
        count: n.
        first: the lowest power; 1, or what is left when `divided`.
    """

    count: int
    first: int = 1

    def evaluate(self, at: Point) -> Tensor:
        """Sum of q^j / j for j <= n."""
        return with_known_slope(at.margin, self._value, self._slope)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The sum, and q^first (1 - q^(n + 1 - first))."""
        return self._value(at), self._slope(at)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """Of the sum, and of the factors of the slope."""
        rest = log_one_minus_exp(math.log(self._number) + log_softplus(at.margin))
        if self.first == 1:
            value = log_of_value(self._value, self.series(3), at)
        else:  # has no digits where q is small, and is added to larger powers
            value = SignedLog.of(self._value(at).clamp_min(0.0))
        return value, SignedLog.positive(self.first * at.log_q + rest)

    def divided(self, last: int) -> tuple[Truncated, Truncated]:
        """The terms up to a power, and those beyond it."""
        return Truncated(last, self.first), Truncated(self.count, last + 1)

    @property
    def _number(self) -> int:
        return self.count + 1 - self.first

    def _value(self, at: Point) -> Tensor:
        if self.first == 1:
            return truncated_sum(at.q, at.log_q, self.count)
        return tail_of_sum(at.log_q, self.first, self.count)

    def _slope(self, at: Point) -> Tensor:
        return at.q_power(float(self.first)) * -expm1(self._number * at.log_q)

    def series(self, order: int) -> Series:
        """1/j at q^j up to n."""
        last = min(self.first + order - 1, self.count)
        return collect(((float(j), 1.0 / j) for j in range(self.first, last + 1)), order)

    def __repr__(self) -> str:
        return (
            f"truncated({self.count})" if self.first == 1 else f"tail({self.first}, {self.count})"
        )

    def __str__(self) -> str:
        return f"sum((1-p)^j/j, j={self.first}..{self.count})"


@dataclass(frozen=True, eq=False, repr=False)
class Polynomial(Term):
    """A polynomial in q without constant: the coefficients a_j of q^j, j = 1, 2, ..."""

    coefficients: tuple[float, ...]

    def evaluate(self, at: Point) -> Tensor:
        """Sum of a_j q^j."""
        return with_known_slope(
            at.margin, lambda point: polynomial(self.coefficients, point.q), self._slope
        )

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The sum, and p times the sum of j a_j q^j."""
        return polynomial(self.coefficients, at.q), self._slope(at)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """The lowest power of q apart from the rest of the sum, which is no small number."""
        first = next((j for j, a in enumerate(self.coefficients) if a), 0)
        value = _rest(self.coefficients[first:], at.q)
        slope = _rest([j * a for j, a in enumerate(self.coefficients, start=1)][first:], at.q)
        lowest = SignedLog.positive((first + 1) * at.log_q)
        steepest = SignedLog.positive((first + 1) * at.log_q + at.log_p)
        return lowest.times(SignedLog.of(value)), steepest.times(SignedLog.of(slope))

    def _slope(self, at: Point) -> Tensor:
        weighted = tuple(j * a for j, a in enumerate(self.coefficients, start=1))
        return at.p * polynomial(weighted, at.q)

    def series(self, order: int) -> Series:
        """The coefficients themselves."""
        pairs = ((float(j), a) for j, a in enumerate(self.coefficients, start=1))
        return collect(pairs, order)

    def __repr__(self) -> str:
        return f"series({literal(self.coefficients)})"

    def __str__(self) -> str:
        shown = [f"{a:g}*(1-p)^{j}" for j, a in enumerate(self.coefficients[:4], start=1)]
        if len(self.coefficients) > len(shown):
            shown.append(f"... + {self.coefficients[-1]:g}*(1-p)^{len(self.coefficients)}")
        return "(" + " + ".join(shown) + ")"


def _rest(coefficients: Sequence[float], q: Tensor) -> Tensor:
    """Sum of a_j q^j from j = 0 on."""
    return coefficients[0] + polynomial(tuple(coefficients[1:]), q)


_MOST_TERMS = 10_000_000
"""The tests check the truncated sum up to this number of terms."""


def truncated(count: int) -> Term:
    """The first `count` terms of the cross-entropy series; raising it approaches cross-entropy.

    Example:
        >>> truncated(2).series(5)
        1*q^1 + 0.5*q^2
    """
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not whole or not 1 <= count <= _MOST_TERMS:
        fail(
            "count",
            f"a whole number from 1 to {_MOST_TERMS:,}",
            repr(count),
            "give the number of terms to keep; beyond that it is cross-entropy",
        )
    return Truncated(count)


def series(coefficients: Sequence[float]) -> Term:
    """A term from its coefficients: `coefficients[j - 1]` multiplies (1 - p)^j.

    Example:
        >>> round(series([1.0, 0.5]).value(0.5).item(), 4)
        0.625
    """
    if len(coefficients) == 0:
        fail("coefficients", "at least one number", "none", "give the factor of (1 - p) first")
    return Polynomial(tuple(float(a) for a in coefficients))
