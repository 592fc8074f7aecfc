"""Intervals of doubles, rounded outwards, in which the prover computes.

The functions of the C library are trusted to a few units in the last place. Whoever does not trust
them re-checks the certificate: the checker has more digits and directed rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

_INFINITY = math.inf
_ULPS = 1e-15
"""Relative error that results of the C library get, about four units in the last place."""

Number = Fraction | float | int


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers from lo to hi; the ends may be infinite."""

    lo: float
    hi: float

    def __add__(self, other: Interval | Number) -> Interval:
        other = interval(other)
        return _outward(self.lo + other.lo, self.hi + other.hi)

    __radd__ = __add__

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __sub__(self, other: Interval | Number) -> Interval:
        return self + -interval(other)

    def __rsub__(self, other: Number) -> Interval:
        return interval(other) + -self

    def __mul__(self, other: Interval | Number) -> Interval:
        other = interval(other)
        if self.lo >= 0.0 and other.lo >= 0.0:
            low, high = _product(self.lo, other.lo), _product(self.hi, other.hi)
        else:
            corners = [_product(a, b) for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
            low, high = min(corners), max(corners)
        return _outward(low, high)

    __rmul__ = __mul__

    def reciprocal(self) -> Interval:
        """1 / x; everything if 0 is inside."""
        if self.lo <= 0.0 <= self.hi:
            return EVERYTHING
        return _outward(1.0 / self.hi, 1.0 / self.lo)

    def __contains__(self, number: float) -> bool:
        return self.lo <= number <= self.hi

    def meet(self, other: Interval) -> Interval:
        """What two enclosures of the same number have in common."""
        lo, hi = max(self.lo, other.lo), min(self.hi, other.hi)
        return Interval(lo, hi) if lo <= hi else self

    def hull(self, other: Interval) -> Interval:
        """The smallest interval around both."""
        return Interval(min(self.lo, other.lo), max(self.hi, other.hi))

    @property
    def magnitude(self) -> float:
        """The largest absolute value."""
        return max(-self.lo, self.hi)


EVERYTHING = Interval(-_INFINITY, _INFINITY)
ZERO = Interval(0.0, 0.0)


def _product(a: float, b: float) -> float:
    # The ends of an unbounded interval are limits, not numbers of it: 0 times them is 0.
    if a == 0.0 or b == 0.0:
        return 0.0
    return a * b or math.copysign(5e-324, a) * math.copysign(1.0, b)  # 0 is for exact zeros


def _outward(lo: float, hi: float) -> Interval:
    if lo != lo or hi != hi:
        return EVERYTHING
    # A sum of doubles that is 0 is exact, and so is a product, see `_product`.
    low = math.nextafter(lo, -_INFINITY) if lo else 0.0
    return Interval(low, math.nextafter(hi, _INFINITY) if hi else 0.0)


def interval(number: Interval | Number) -> Interval:
    """The doubles around an exact number."""
    if isinstance(number, Interval):
        return number
    if isinstance(number, float):
        return Interval(number, number)
    if isinstance(number, int) and -(2**53) <= number <= 2**53:
        return Interval(float(number), float(number))
    try:
        near = float(number)
    except OverflowError:
        near = math.copysign(_INFINITY, number)
    if abs(near) == _INFINITY:
        big = math.nextafter(_INFINITY, 0.0)
        return Interval(big, _INFINITY) if near > 0 else Interval(-_INFINITY, -big)
    if near == number:
        return Interval(near, near)
    return Interval(math.nextafter(near, -_INFINITY), math.nextafter(near, _INFINITY))


def around(value: float, relative: float = 0.0) -> Interval:
    """What the C library's result stands for; `relative` is an error beside its own."""
    if value != value:
        return EVERYTHING
    if abs(value) == _INFINITY:
        big = math.nextafter(_INFINITY, 0.0)
        return Interval(big, _INFINITY) if value > 0 else Interval(-_INFINITY, -big)
    error = abs(value) * (_ULPS + relative) + 5e-324
    return Interval(value - error, value + error)


def logarithm(x: Interval) -> Interval:
    """Natural logarithm of positive numbers."""
    low = around(math.log(x.lo)).lo if x.lo > 0.0 else -_INFINITY
    return Interval(low, around(math.log(x.hi)).hi if x.hi < _INFINITY else _INFINITY)


def power(x: Interval, exponent: Number) -> Interval:
    """x ** exponent of numbers >= 0."""
    if exponent == 0:
        return Interval(1.0, 1.0)
    a, b = _power(x.lo, exponent), _power(x.hi, exponent)
    return Interval(a.lo, b.hi) if exponent > 0 else Interval(b.lo, a.hi)


def _power(x: float, exponent: Number) -> Interval:
    if x <= 0.0:
        return ZERO if exponent > 0 else Interval(_INFINITY, _INFINITY)
    if x == 1.0:
        return Interval(1.0, 1.0)
    a = float(exponent)
    # The exponent is rounded, which moves the result by the factor x ** error.
    relative = 0.0 if a == exponent else abs(a * math.log(x)) * 2.3e-16
    try:
        value = math.pow(x, a)
    except OverflowError:
        value = _INFINITY
    found = around(value, relative)
    return Interval(max(found.lo, 0.0), found.hi)
