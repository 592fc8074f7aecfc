"""Numbers of the checker: fractions where a number is rational, mpmath's intervals elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from mpmath.ctx_iv import MPIntervalContext

Number = Any
"""A `Fraction`, or an interval of `mpmath.iv` with directed rounding."""

PRECISION = 80
"""Bits; the prover has 53."""

iv: Any = MPIntervalContext()
"""A context of our own: the precision of `mpmath.iv` belongs to the user."""

iv.prec = PRECISION


@contextmanager
def more_bits(count: int) -> Iterator[None]:
    """Compute with as many bits more."""
    iv.prec = PRECISION + count
    try:
        yield
    finally:
        iv.prec = PRECISION


def wide(x: Number) -> Any:
    """The interval around a number."""
    if isinstance(x, Fraction):
        return iv.mpf(x.numerator) / x.denominator
    return iv.mpf(x) if isinstance(x, (int, float)) else x


def between(low: float, high: float) -> Any:
    """The interval between two doubles."""
    return iv.mpf([low, high])


def plus(a: Number, b: Number) -> Number:
    """a + b."""
    exact = isinstance(a, Fraction) and isinstance(b, Fraction)
    if exact:
        return a + b
    if isinstance(a, Fraction) and not a:
        return b
    return a if isinstance(b, Fraction) and not b else wide(a) + wide(b)


def times(a: Number, b: Number) -> Number:
    """a * b."""
    if isinstance(a, Fraction):
        if isinstance(b, Fraction):
            return a * b
        return b if a == 1 else a if not a else wide(a) * b
    if isinstance(b, Fraction):
        return times(b, a)
    return a * b


def log(x: Number) -> Number:
    """Natural logarithm."""
    return Fraction(0) if isinstance(x, Fraction) and x == 1 else iv.log(wide(x))


def exp(x: Number) -> Number:
    """Exponential."""
    return Fraction(1) if isinstance(x, Fraction) and not x else iv.exp(wide(x))


def power(x: Number, exponent: Fraction) -> Number:
    """x ** exponent for x > 0, and from 0 on if the exponent is not negative."""
    if not exponent:
        return Fraction(1)
    if isinstance(x, Fraction):
        if exponent.denominator == 1 and (x or exponent > 0):
            return Fraction(x) ** int(exponent)
        if x == 1:
            return x
    x = wide(x)
    if exponent.denominator == 1 and (exponent > 0 or x.a > 0):
        return x ** int(exponent)
    if x.a <= 0:
        high = iv.exp(wide(exponent) * iv.log(iv.mpf(x.b))).b if exponent > 0 and x.b > 0 else 0
        return iv.mpf([0, high]) if exponent > 0 else iv.mpf([0, "inf"])
    return iv.exp(wide(exponent) * iv.log(x))


def simplest(value: float) -> Fraction:
    """The fraction that a float in a term stands for, see `formula.py`."""
    for digits in range(1, 400):
        found = Fraction(value).limit_denominator(10**digits)
        if float(found) == value:
            return found
    raise ValueError(value)
