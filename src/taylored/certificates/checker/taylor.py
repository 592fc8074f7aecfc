"""Taylor coefficients c_0, c_1, ... as lists, and the rules by which functions of them follow."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from taylored.certificates.checker.arithmetic import Number, exp, log, plus, power, times

Taylor = list[Number]


def add(a: Taylor, b: Taylor) -> Taylor:
    """The sum."""
    return [plus(x, y) for x, y in zip(a, b, strict=True)]


def scale(a: Taylor, factor: Number) -> Taylor:
    """A multiple."""
    return [times(factor, x) for x in a]


def mul(a: Taylor, b: Taylor) -> Taylor:
    """The product: a convolution."""
    return [_sum(times(a[i], b[k - i]) for i in range(k + 1)) for k in range(len(a))]


def exp_of(a: Taylor) -> Taylor:
    """k e_k = sum of j a_j e_(k-j)."""
    found = [exp(a[0])]
    for k in range(1, len(a)):
        parts = (times(Fraction(j, k), times(a[j], found[k - j])) for j in range(1, k + 1))
        found.append(_sum(parts))
    return found


def log_of(a: Taylor) -> Taylor:
    """k a_0 l_k = k a_k - sum of j l_j a_(k-j)."""
    found, inverse = [log(a[0])], power(a[0], Fraction(-1))
    for k in range(1, len(a)):
        parts = (times(Fraction(-j, k), times(found[j], a[k - j])) for j in range(1, k))
        found.append(times(inverse, plus(a[k], _sum(parts))))
    return found


def power_of(a: Taylor, exponent: Fraction) -> Taylor:
    """k a_0 b_k = sum of (j r - k + j) a_j b_(k-j)."""
    if exponent.denominator == 1 and 0 <= exponent <= 3:
        found = constant(Fraction(1), len(a))
        for _ in range(int(exponent)):
            found = mul(found, a)
        return found
    found, inverse = [power(a[0], exponent)], power(a[0], Fraction(-1))
    for k in range(1, len(a)):
        parts = (
            times((j * exponent - k + j) / k, times(a[j], found[k - j])) for j in range(1, k + 1)
        )
        found.append(times(inverse, _sum(parts)))
    return found


def constant(value: Number, length: int) -> Taylor:
    """A number."""
    return [value, *[Fraction(0)] * (length - 1)]


def composed(outer: Callable[[int], Number], inner: Taylor) -> Taylor:
    """A function with Taylor coefficients outer(k) at inner[0], of the inner function."""
    step = [Fraction(0), *inner[1:]]
    total = constant(outer(len(inner) - 1), len(inner))
    for k in range(len(inner) - 2, -1, -1):
        total = mul(total, step)
        total[0] = plus(total[0], outer(k))
    return total


def integrated(value: Number, slope: Taylor, inner: Taylor) -> Taylor:
    """The function with this value whose derivative is slope times that of the inner function."""
    rate = [times(Fraction(k), inner[k]) for k in range(1, len(inner))]
    product = mul(slope[:-1], rate)
    return [value, *(times(Fraction(1, k), c) for k, c in enumerate(product, start=1))]


def derived(a: Taylor) -> Taylor:
    """The derivative, with one coefficient less."""
    return [times(Fraction(k), a[k]) for k in range(1, len(a))]


def _sum(parts: Any) -> Number:
    total: Number = Fraction(0)
    for part in parts:
        total = plus(total, part)
    return total
