"""Sums of c t^e L^k with L = -log t, for t = q or t = p in (0, reach]: functions at an end.

The coefficient of a remainder is an interval in which a bounded function of t has its values; all
others are exact where the function's are rational, so that they cancel as they should.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from taylored.certificates.enclosure.interval import (
    ZERO,
    Interval,
    around,
    interval,
    logarithm,
    power,
)

Coefficient = Fraction | Interval
Key = tuple[Fraction, int]

ORDER = 5
"""Taylor polynomials have this many terms before the remainder."""

_DEEPEST = ORDER + 1
"""Exponents that are higher than the lowest one by more are put together."""


@dataclass(frozen=True)
class Local:
    """A function on (0, reach]: (exponent of t, exponent of L) -> coefficient."""

    terms: dict[Key, Coefficient]
    reach: float

    def __add__(self, other: Local) -> Local:
        total = dict(self.terms)
        for key, value in other.terms.items():
            total[key] = _sum(total[key], value) if key in total else value
        return Local(_without_zeros(total), self.reach)

    def __mul__(self, other: Local) -> Local:
        total: dict[Key, Coefficient] = {}
        for (e, k), a in self.terms.items():
            for (f, j), b in other.terms.items():
                key, value = (e + f, k + j), _times(a, b)
                total[key] = _sum(total[key], value) if key in total else value
        return Local(_without_zeros(total), self.reach)._gathered()

    def scaled(self, factor: Coefficient, exponent: Fraction = Fraction(0), logs: int = 0) -> Local:
        """The function times factor * t^exponent * L^logs."""
        moved = {(e + exponent, k + logs): _times(c, factor) for (e, k), c in self.terms.items()}
        return Local(_without_zeros(moved), self.reach)

    def leading(self) -> tuple[Key, Coefficient] | None:
        """The term that is the largest for t -> 0; None for the function 0."""
        if not self.terms:
            return None
        key = min(self.terms, key=lambda key: (key[0], -key[1]))
        return key, self.terms[key]

    def relative(self) -> Interval:
        """Where the function divided by its leading power has its values; 0 for the function 0."""
        found = self.leading()
        if found is None:
            return ZERO
        (e, k), _ = found
        return self.enclosed(e, k)

    def enclosed(self, exponent: Fraction = Fraction(0), logs: int = 0) -> Interval:
        """Where the function divided by t^exponent L^logs has its values."""
        total = ZERO
        for (e, k), c in self.terms.items():
            total = total + interval(c) * range_of(e - exponent, k - logs, self.reach)
        return total

    def _gathered(self) -> Local:
        """With the high powers put together, as one remainder."""
        found = self.leading()
        if found is None or len(self.terms) <= 2 * _DEEPEST:
            return self
        cap = found[0][0] + _DEEPEST
        kept: dict[Key, Coefficient] = {}
        rest = ZERO
        for (e, k), c in self.terms.items():
            if e > cap:
                rest = rest + interval(c) * range_of(e - cap, k, self.reach)
            else:
                kept[e, k] = c
        if rest != ZERO:
            kept[cap, 0] = _sum(kept.get((cap, 0), Fraction(0)), rest)
        return Local(_without_zeros(kept), self.reach)


def range_of(exponent: Fraction, logs: int, reach: float) -> Interval:
    """Where t^exponent L^logs has its values for t in (0, reach], reach < 1."""
    rate = -logarithm(Interval(reach, reach))
    here = power(Interval(reach, reach), exponent) * _log_power(rate, logs)
    if exponent == 0 and logs == 0:
        return Interval(1.0, 1.0)
    if exponent < 0 or (exponent == 0 and logs > 0):
        return Interval(0.0 if logs < 0 else here.lo, math.inf)
    if logs > 0:  # the largest value is that at L = logs / exponent, if it is that far
        top = Fraction(logs) / exponent
        if rate.lo < top:
            peak = power(interval(top), logs) * around(math.exp(-logs), 1e-15 * logs)
            return Interval(0.0, max(peak.hi, here.hi))
    return Interval(0.0, here.hi)


def _log_power(rate: Interval, logs: int) -> Interval:
    return power(rate, logs) if logs else Interval(1.0, 1.0)


def _sum(a: Coefficient, b: Coefficient) -> Coefficient:
    return a + b


def _times(a: Coefficient, b: Coefficient) -> Coefficient:
    return Fraction(0) if _vanishes(a) or _vanishes(b) else a * b


def _vanishes(a: Coefficient) -> bool:
    if isinstance(a, Interval):
        return a.lo == 0.0 == a.hi
    return not a


def _without_zeros(terms: dict[Key, Coefficient]) -> dict[Key, Coefficient]:
    return {key: value for key, value in terms.items() if not _vanishes(value)}


def exact(terms: dict[Key, Fraction], reach: float) -> Local:
    """A sum of monomials."""
    return Local(_without_zeros(dict(terms)), reach)


def taylor(values: Sequence[Coefficient], rest: Interval, reach: float) -> Local:
    """values[0] + values[1] t + ..., and a remainder rest * t^n, n the number of values."""
    terms: dict[Key, Coefficient] = {(Fraction(j), 0): v for j, v in enumerate(values)}
    terms[Fraction(len(values)), 0] = rest
    return Local(_without_zeros(terms), reach)


def binomial(base: Coefficient, exponent: Fraction, reach: float) -> Local:
    """(1 + base t)^exponent, where 1 + base t stays above 0."""
    values: list[Coefficient] = []
    factor: Coefficient = Fraction(1)
    for j in range(ORDER):
        values.append(factor)
        factor = _times(factor, _times(base, (exponent - j) / (j + 1)))
    span = (1 + interval(base) * Interval(0.0, reach)).meet(Interval(5e-324, math.inf))
    return taylor(values, interval(factor) * power(span, exponent - ORDER), reach)


def log_of_binomial(base: Coefficient, reach: float) -> Local:
    """log(1 + base t)."""
    values: list[Coefficient] = [Fraction(0)]
    factor: Coefficient = base
    for j in range(1, ORDER):
        values.append(_times(factor, Fraction(1, j)))
        factor = _times(_times(factor, base), Fraction(-1))
    span = (1 + interval(base) * Interval(0.0, reach)).meet(Interval(5e-324, math.inf))
    return taylor(values, interval(factor) * power(span, -ORDER) * Fraction(1, ORDER), reach)


def from_derivatives(
    derivative: Callable[[int], Coefficient],
    within: Callable[[int], Interval],
    order: int,
    sign: int,
    reach: float,
) -> Local:
    """The derivative of an order in q, from all derivatives at the end and on [0, reach].

    `sign` is -1 where t = p runs against q.
    """
    values: list[Coefficient] = [
        _times(derivative(order + j), Fraction(sign**j, math.factorial(j))) for j in range(ORDER)
    ]
    rest = within(order + ORDER) * Fraction(sign**ORDER, math.factorial(ORDER))
    return taylor(values, rest, reach)
