"""The sign of a quantity on all of (0, 1): the ends by expansion, the rest piece by piece."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from taylored.certificates.enclosure.box import Box, Side
from taylored.certificates.enclosure.interval import ZERO, Interval
from taylored.certificates.formula import Formula
from taylored.certificates.prover.quantities import Quantity, breaks

Sign = Literal["+", "-", "0", "+0", "-0", "?"]
"""Above 0, below 0, 0 everywhere, at least 0, at most 0, not known."""

_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 48, 64, 100, 200, 400, 1000)
REACHES = tuple(2.0**-k for k in _LENGTHS)
"""How far an end may go, tried from the longest to the shortest."""

_NARROWEST = 1e-5
"""Pieces are not divided below this share of their distance from the end."""

_MOST = 600
"""Pieces that are looked at before a question is given up."""


@dataclass(frozen=True)
class Cell:
    """A piece of (0, 1) with its sign; an end of it is a piece from 0."""

    box: Box
    sign: Sign
    values: Interval
    """Of the quantity; at an end, of the quantity divided by its leading power."""


def classify(formula: Formula, quantity: Quantity) -> tuple[Cell, ...]:
    """Pieces that cover (0, 1), from p = 0 to p = 1."""
    ends = {side: _end(formula, quantity, side) for side in ("p", "q")}
    cells = [cell for side in ("p", "q") for cell in _side(formula, quantity, side, ends[side])]
    return tuple(sorted(cells, key=lambda cell: _place(cell.box)))


def _place(box: Box) -> tuple[int, float]:
    return (0, box.lo) if box.side == "p" else (1, -box.hi)


def _end(formula: Formula, quantity: Quantity, side: Side) -> Cell:
    """The longest end on which the leading power decides."""
    for reach in REACHES:
        local = quantity.near(formula, side, reach)
        if local is None:
            continue
        values = local.relative()
        sign = sign_of(values)
        if sign in ("+", "-", "0"):
            return Cell(Box(side, 0.0, reach), sign, values)
    return Cell(Box(side, 0.0, REACHES[-1]), "?", Interval(0.0, 0.0))


def sign_of(values: Interval) -> Sign:
    """What an enclosure says about the sign."""
    if values == ZERO:
        return "0"
    if values.lo > 0.0:
        return "+"
    if values.hi < 0.0:
        return "-"
    if values.lo == 0.0:
        return "+0"
    return "-0" if values.hi == 0.0 else "?"


def _side(formula: Formula, quantity: Quantity, side: Side, end: Cell) -> list[Cell]:
    reach = end.box.hi
    at = (float(b) if side == "q" else float(1 - b) for b in breaks(formula))
    cuts = [reach, *sorted(b for b in at if reach < b < 0.5), 0.5]
    waiting = [Box(side, lo, hi) for lo, hi in itertools.pairwise(cuts) if lo < hi]
    found, looked_at = [end], 0
    while waiting:
        box = waiting.pop()
        looked_at += 1
        values = quantity.closely(formula, box)
        sign = sign_of(values)
        narrow = box.hi - box.lo <= _NARROWEST * box.lo
        if sign in ("?", "+0", "-0") and not narrow and looked_at < _MOST:
            first, second = box.halves()
            if first.lo < first.hi < second.hi:
                waiting += (first, second)
                continue
        found.append(Cell(box, sign, values))
    return found
