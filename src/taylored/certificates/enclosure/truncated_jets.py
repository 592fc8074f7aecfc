"""Enclosures of the sum of q^j / j up to n, for any n, and its derivatives."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

from taylored.certificates.enclosure.box import Box
from taylored.certificates.enclosure.interval import ZERO, Interval, around

_HEAD = 48
"""Terms that are added up one by one."""

_RATIO = 1.06
"""How fast the blocks of the others grow; they are bounded as a whole."""

_NOTHING = 1e-13
"""A remainder that is smaller than this share of the logarithm is enclosed as a whole."""


@functools.lru_cache(maxsize=4096)
def truncated(n: int, box: Box) -> Interval:
    """The sum at a thin box."""
    if n > _HEAD and box.p.lo > 0.0:
        beyond = box.q_power(n + 1) * (box.p * Fraction(n + 1)).reciprocal()
        if beyond.hi < _NOTHING * box.nll.lo:
            return box.nll - Interval(0.0, beyond.hi)
    total = ZERO
    for j in range(min(n, _HEAD), 0, -1):
        total = (total + Fraction(1, j)) * box.q
    first = _HEAD + 1
    while first <= n:
        last = min(n, max(first, int(first * _RATIO)))
        # q^x / x is convex in x: a block of values adds up to at least its length times the value
        # in the middle, and at most that times the mean of both ends.
        count, middle = last - first + 1, Fraction(first + last, 2)
        low = box.q_power(middle) * (count / middle)
        ends = box.q_power(first) * Fraction(1, first) + box.q_power(last) * Fraction(1, last)
        total = total + Interval(low.lo, (ends * Fraction(count, 2)).hi)
        first = last + 1
    return total


def truncated_jet(n: int, box: Box) -> tuple[Interval, Interval, Interval]:
    """1 - q^n, -n p q^(n-1) and n p (q^(n-1) - (n-1) p q^(n-2))."""
    x = box.log_q * Fraction(n)
    first = Interval(around(-math.expm1(x.hi)).lo, around(-math.expm1(x.lo)).hi)
    times_p = n * box.p
    rest = box.q_power(n - 1) - ((n - 1) * (box.p * box.q_power(n - 2)) if n > 1 else ZERO)
    return first, -(times_p * box.q_power(n - 1)), times_p * rest
