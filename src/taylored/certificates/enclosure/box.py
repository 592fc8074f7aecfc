"""A piece of (0, 1): probabilities between two numbers, exact at either end of the line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from taylored.certificates.enclosure.interval import Interval, Number, around, logarithm, power

Side = Literal["p", "q"]


@dataclass(frozen=True)
class Box:
    """p between lo and hi, or q = 1 - p between them.

    Near 1 a probability has no digits left; its complement has all of them.
    """

    side: Side
    lo: float
    hi: float

    @cached_property
    def near(self) -> Interval:
        """The coordinate that the box is given in."""
        return Interval(self.lo, self.hi)

    @cached_property
    def p(self) -> Interval:
        """The probability of the truth."""
        return self.near if self.side == "p" else 1 + -self.near

    @cached_property
    def q(self) -> Interval:
        """1 - p."""
        return self.near if self.side == "q" else 1 + -self.near

    @cached_property
    def log_near(self) -> Interval:
        """Logarithm of the coordinate."""
        return logarithm(self.near)

    @cached_property
    def log_far(self) -> Interval:
        """Logarithm of the complement."""
        low = around(math.log1p(-self.hi)) if self.hi < 1.0 else Interval(-math.inf, 0.0)
        return Interval(low.lo, around(math.log1p(-self.lo)).hi)

    @property
    def nll(self) -> Interval:
        """-log p."""
        return -(self.log_near if self.side == "p" else self.log_far)

    @property
    def log_q(self) -> Interval:
        """Logarithm of q."""
        return self.log_near if self.side == "q" else self.log_far

    def q_power(self, exponent: Number) -> Interval:
        """q ** exponent."""
        return power(self.near, exponent) if self.side == "q" else _exp(self.log_far, exponent)

    def p_power(self, exponent: Number) -> Interval:
        """p ** exponent."""
        return power(self.near, exponent) if self.side == "p" else _exp(self.log_far, exponent)

    @cached_property
    def ends(self) -> tuple[Box, Box]:
        """The thin boxes of the smallest and the largest q."""
        low, high = Box(self.side, self.lo, self.lo), Box(self.side, self.hi, self.hi)
        return (low, high) if self.side == "q" else (high, low)

    @cached_property
    def middle(self) -> Box:
        """A thin box in the middle, in ratio if the ends are far apart."""
        far = self.lo > 0.0 and self.hi > 4.0 * self.lo
        at = math.sqrt(self.lo) * math.sqrt(self.hi) if far else 0.5 * (self.lo + self.hi)
        return Box(self.side, at, at)

    def halves(self) -> tuple[Box, Box]:
        """The two parts."""
        at = self.middle.lo
        return Box(self.side, self.lo, at), Box(self.side, at, self.hi)

    def mirrored(self) -> Box:
        """The same place with p and q in each other's place."""
        return Box("q" if self.side == "p" else "p", self.lo, self.hi)

    def moved(self, odds: Interval) -> Box:
        """The box at odds p / q that are multiplied by a number."""
        against = self.near * (1 + -self.near).reciprocal()
        ratio = against * (odds if self.side == "p" else odds.reciprocal())
        if ratio.hi <= 1.0:
            to = ratio * (1 + ratio).reciprocal()
            return Box(self.side, max(to.lo, 0.0), min(to.hi, 1.0))
        back = ratio.reciprocal() if ratio.lo > 0.0 else Interval(0.0, math.inf)
        if back.hi <= 1.0:
            to = back * (1 + back).reciprocal()
            other: Side = "q" if self.side == "p" else "p"
            return Box(other, max(to.lo, 0.0), min(to.hi, 1.0))
        low, high = Interval(ratio.lo, ratio.lo), Interval(ratio.hi, ratio.hi)
        first, last = low * (1 + low).reciprocal(), high * (1 + high).reciprocal()
        return Box(self.side, max(first.lo, 0.0), min(last.hi, 1.0))


def _exp(log: Interval, exponent: Number) -> Interval:
    """exp(exponent * log) for log <= 0."""
    a = float(exponent)
    if a == 0.0:
        return Interval(1.0, 1.0)
    ends = []
    for value in (log.lo, log.hi):
        x = a * value
        try:
            ends.append(around(math.exp(x), abs(x) * 4.5e-16))
        except OverflowError:
            ends.append(around(math.inf))
    low, high = (ends[0], ends[1]) if a > 0 else (ends[1], ends[0])
    return Interval(max(low.lo, 0.0), high.hi)
