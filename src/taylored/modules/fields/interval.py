"""Intervals of numbers, written as in mathematics: "[0, inf)" contains 0 and no infinity."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_WRITTEN = re.compile(r"([\[(])\s*(\S+)\s*,\s*(\S+?)\s*([\])])")


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`; an open end is not one of them."""

    low: float
    high: float
    low_open: bool
    high_open: bool

    @classmethod
    def read(cls, text: str) -> Interval:
        """The interval that a text like "(0, 1]" stands for.

        >>> Interval.read("(0, 1]").words("a number")
        'a number in (0, 1]'
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no interval: write it like '[0, inf)'")
        left, low, high, right = found.groups()
        return cls(float(low), float(high), left == "(", right == ")")

    def __contains__(self, number: float) -> bool:
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return above and below  # NaN is in no interval

    def words(self, noun: str) -> str:
        """The interval as a reader of an error message expects it: "a number >= 0"."""
        above, below = math.isfinite(self.low), math.isfinite(self.high)
        if above and below:
            left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
            return f"{noun} in {left}{self.low:g}, {self.high:g}{right}"
        if above:
            return f"{noun} {'>' if self.low_open else '>='} {self.low:g}"
        if below:
            return f"{noun} {'<' if self.high_open else '<='} {self.high:g}"
        return noun
