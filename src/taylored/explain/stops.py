"""Round values for a slider that cannot stop anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from taylored.explain.parameters import Knob

_COUNTS: Final = (3, 5, 6, 9, 11, 13, 16, 21, 26)
"""How many stops are wanted on a linear scale; a round step gives nearly so many."""
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_DIGITS: Final = (
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
    (*(1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8),
     *(3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0)),
)  # fmt: skip
"""Numbers of a decade that the stops of a logarithmic scale begin with."""


def round_stops(knob: Knob) -> list[tuple[float, ...]]:
    """More and more round values over the range of a knob, with its ends and its present value."""
    found = (
        [_decades(knob, digits) for digits in _DIGITS]
        if knob.scale == "log"
        else [_multiples(knob, count) for count in _COUNTS]
    )
    kept = (tuple(sorted({knob.low, knob.high, knob.value, *values})) for values in found)
    return sorted(dict.fromkeys(kept), key=len)


def _multiples(knob: Knob, count: int) -> Iterable[float]:
    raw = (knob.high - knob.low) / (count - 1)
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(each * unit for each in _STEPS if each * unit >= raw * (1 - 1e-9))
    first, last = math.ceil(knob.low / step - 1e-9), math.floor(knob.high / step + 1e-9)
    return (float(f"{number * step:.9g}") for number in range(first, last + 1))


def _decades(knob: Knob, digits: Iterable[float]) -> Iterable[float]:
    first, last = math.floor(math.log10(knob.low)), math.ceil(math.log10(knob.high))
    values = (float(f"{d}e{e}") for e in range(first, last + 1) for d in digits)
    return (value for value in values if knob.low <= value <= knob.high)
