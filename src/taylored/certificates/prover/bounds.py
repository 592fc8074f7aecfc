"""The largest absolute value of a quantity on (0, 1), enclosed; or that there is none."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass

from taylored.certificates.enclosure.box import Box, Side
from taylored.certificates.enclosure.interval import Interval, interval
from taylored.certificates.formula import Formula
from taylored.certificates.prover.quantities import Quantity, breaks
from taylored.certificates.prover.signs import REACHES

TOLERANCE = 1e-4
"""Relative width of the enclosure at which the search ends."""

_MOST = 500
_SAMPLES = tuple(2.0**-k for k in (1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 45))


@dataclass(frozen=True)
class Bound:
    """The largest absolute value: at least `lower`, which it has at `at`, and at most `upper`.

    `boxes` cover (0, 1); those that begin at 0 are ends. If `upper` is infinite, `at` is the end at
    which the quantity grows beyond all bounds (`proved`), or could not be bounded.
    """

    lower: float
    upper: float
    at: Box
    boxes: tuple[Box, ...]
    proved: bool


def largest(formula: Formula, quantity: Quantity) -> Bound:
    """The largest absolute value."""
    for side in ("p", "q"):
        unbounded = _unbounded(formula, quantity, side)
        if unbounded is not None:
            return unbounded
    lower, at = max(
        ((_least(quantity.on(formula, box)), box) for box in _samples()), key=lambda each: each[0]
    )
    ends = [_end(formula, quantity, side, lower) for side in ("p", "q")]
    upper = max(value for _, value in ends)
    order = itertools.count()
    heap: list[tuple[float, int, Box]] = []
    for box, _ in ends:
        for piece in _pieces(formula, box.side, box.hi):
            values = quantity.sharply(formula, piece)
            heapq.heappush(heap, (-values.magnitude, next(order), piece))
    looked_at = 0
    while heap and looked_at < _MOST:
        top = -heap[0][0]
        if top <= max(upper, lower * (1.0 + TOLERANCE)):
            break
        looked_at += 1
        _, _, box = heapq.heappop(heap)
        here = _least(quantity.on(formula, box.middle))
        if here > lower:
            lower, at = here, box.middle
        for half in box.halves():
            values = quantity.sharply(formula, half)
            heapq.heappush(heap, (-values.magnitude, next(order), half))
    upper = max(upper, -heap[0][0] if heap else 0.0)
    boxes = (*(box for box, _ in ends), *(box for _, _, box in heap))
    return Bound(lower, upper, at, boxes, math.isfinite(upper))


def _least(values: Interval) -> float:
    return max(values.lo, -values.hi, 0.0)


def _samples() -> list[Box]:
    return [Box(side, x, x) for side in ("p", "q") for x in _SAMPLES]


def _pieces(formula: Formula, side: Side, reach: float) -> list[Box]:
    at = (float(b) if side == "q" else float(1 - b) for b in breaks(formula))
    cuts = [reach, *sorted(b for b in at if reach < b < 0.5), 0.5]
    return [Box(side, lo, hi) for lo, hi in itertools.pairwise(cuts) if lo < hi]


def _end(formula: Formula, quantity: Quantity, side: Side, lower: float) -> tuple[Box, float]:
    """The longest end that is not larger than what is reached elsewhere, or the shortest."""
    best: tuple[Box, float] | None = None
    for reach in REACHES:
        local = quantity.near(formula, side, reach)
        if local is None:
            continue
        upper = local.enclosed().magnitude
        if best is None or upper < best[1]:
            best = Box(side, 0.0, reach), upper
        if upper <= lower * (1.0 + 0.5 * TOLERANCE):
            break
    return best or (Box(side, 0.0, REACHES[-1]), math.inf)


def _unbounded(formula: Formula, quantity: Quantity, side: Side) -> Bound | None:
    for reach in REACHES:
        local = quantity.near(formula, side, reach)
        if local is None:
            continue
        found = local.leading()
        if found is None:
            return None
        (exponent, logs), coefficient = found
        if not (exponent < 0 or (exponent == 0 and logs > 0)):
            return None
        proved = 0.0 not in interval(coefficient)
        if proved and 0.0 in local.relative():
            continue  # a shorter end decides
        box = Box(side, 0.0, reach)
        return Bound(math.inf if proved else 0.0, math.inf, box, (box,), proved)
    return None
