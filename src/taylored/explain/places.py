"""Where along its sliders a loss is sampled: densely where its curves bend, and nowhere else.

Each parameter is sampled on a line of its own first, with the others as they are. Its ends come
first; then, one by one, the middle of whichever interval the interpolation of the page misses most.
Where no number of places is enough, the slider gets round stops instead, with nothing between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from taylored.explain.parameters import Knob, Turned
from taylored.explain.stops import round_stops
from taylored.explain.subject import Subject
from taylored.explain.views import Target, lines_of, margins_of

TOLERATED: Final = 0.006
"""Largest error between the places of a grid, over the range of a curve, where it was looked at."""

_MOST, _WHOLE = {True: 33, False: 3}, {True: 33, False: 9}
"""Most places of a line to interpolate between, and of whole numbers, by whether the loss takes
many samples at once. Others are looked at in so few places that only straight lines are sure."""
_GOOD, _JUMP = 0.002, 0.2
"""An error that is small enough, and one that no finer grid mends: the parameter moves a jump."""
_COARSE = 0.2
"""What counts as the error of stops is this over their number: as if curves moved so far."""
_WIDEST, _POINTS = 4.6, 31
_NEAR = 4
"""Places that an interpolation looks at; the script of the page knows the same number."""

_FLAT = 0.02
"""A curve with a smaller range than this looks flat."""
_CAPS = (8.0, 6.0, 6.0)
_SHOWN = 0.01
"""The page shows loss, gradient and gain up to these heights, and scales them by p from here on."""


@dataclass(frozen=True)
class Places:
    """The grid of one slider.

    Args:
        grid: the values that are sampled, rising.
        error: largest error of a curve, over its range, in the middle between two of them.
        stepped: whether the slider stops at these values alone.

    """

    grid: tuple[float, ...]
    error: float
    stepped: bool


@dataclass(frozen=True)
class Ladder:
    """Finer and finer grids of one slider, to interpolate between and to stop at."""

    smooth: tuple[Places, ...]
    stops: tuple[Places, ...]


def ladders_of(subject: Subject, knobs: Sequence[Knob], targets: Sequence[Target]) -> list[Ladder]:
    """The grids that each slider may have."""
    return [
        Ladder(
            _smooth(subject, knob, targets, _MOST[subject.at_once]),
            _stops(knob, _WHOLE[subject.at_once]),
        )
        for knob in knobs
    ]


def places_of(ladders: Sequence[Ladder], cells: float, held: Collection[int]) -> list[Places]:
    """A grid for each slider, which together have at most so many cells, or their first grids.

    Args:
        ladders: the grids that each may have.
        cells: most places of all of them together.
        held: sliders that are to have stops.

    """
    if any(each.smooth and each.smooth[-1].error > _JUMP for each in ladders):
        held = range(len(ladders))  # a jump moves with the others as well
    stepped = {i for i, each in enumerate(ladders) if i in held or not each.smooth}
    while True:
        chosen = _fitted(
            [each.stops if i in stepped else each.smooth for i, each in enumerate(ladders)], cells
        )
        wrong = [i for i, each in enumerate(chosen) if not each.stepped and each.error > TOLERATED]
        if not wrong:
            return chosen
        stepped.add(max(wrong, key=lambda i: chosen[i].error))


def _fitted(ladders: Sequence[Sequence[Places]], cells: float) -> list[Places]:
    steps = [0] * len(ladders)
    while True:
        finer = [i for i, ladder in enumerate(ladders)
                 if steps[i] + 1 < len(ladder) and ladder[steps[i]].error > _GOOD]  # fmt: skip
        fits = [i for i in finer if _cells(ladders, [s + (i == j) for j, s in enumerate(steps)])
                <= cells]  # fmt: skip
        if not fits:
            return [ladder[step] for ladder, step in zip(ladders, steps, strict=True)]
        worst = max(fits, key=lambda i: ladders[i][steps[i]].error)
        steps[worst] += 1


def between(
    knobs: Sequence[Knob],
    places: Sequence[Places],
    cell: Callable[[tuple[int, ...]], Tensor],
    at: Sequence[float],
) -> Tensor:
    """What the page shows for any setting of the sliders: the script does the same.

    One slider after the other, the curves at its places nearby become one: by a cubic through four
    of them, so that few places are enough for a smooth parameter; at a place, by that place alone.

    Args:
        knobs: the sliders.
        places: the grid of each.
        cell: the curves at a place of each slider, by its number.
        at: a value for each.

    """
    near, weights = [], []
    for knob, place, value in zip(knobs, places, at, strict=True):
        if value in place.grid:
            found, shares = [place.grid.index(value)], [1.0]
        else:
            turned = [_turned(knob, each) for each in place.grid]
            found, shares = _weights(turned, _turned(knob, value))
        near.append(found)
        weights.append(shares)
    corners = torch.stack([cell(indices) for indices in itertools.product(*near)])
    share = corners.new_tensor([math.prod(each) for each in itertools.product(*weights)])
    mixed: Tensor = torch.tensordot(share, corners, 1)
    return mixed


def off(guess: Tensor, exact: Tensor, p: Tensor) -> Tensor:
    """The largest error of curves as the page shows them, over the range of each that is not flat.

    Args:
        guess: loss and gain of each side, for any number of settings: (..., sides, 2, points).
        exact: what they should be.
        p: the probability of the truth at each point.

    Returns:
        One number for each setting.

    """
    seen = (p >= _SHOWN) & (p <= 1.0 - _SHOWN)
    line, right = (_drawn(each, p)[..., seen] for each in (guess, exact))
    known = right.nan_to_num(0.0)
    size = known.amax(-1).clamp(min=0.0) - known.amin(-1).clamp(max=0.0)
    wrong = (line - right).abs().nan_to_num(0.0).amax(-1)
    return (wrong / size.clamp(min=_FLAT)).flatten(-2).amax(-1)


def _drawn(lines: Tensor, p: Tensor) -> Tensor:
    value, gain = lines.unbind(-2)
    drawn = (value, gain * (1.0 - p), gain)
    return torch.stack([y.clamp(-c, c) for y, c in zip(drawn, _CAPS, strict=True)], -2)


def lines_at(
    turned: Turned,
    values: Sequence[float],
    targets: Sequence[Target],
    *,
    widest: float,
    points: int,
) -> Tensor:
    """Loss and gain of each target, (targets, 2, points); NaN for values that do not go together.

    The gradient is the gain by 1 - p.
    """
    subject = turned.at(values)
    if subject is None:
        known = turned.subject
        gap = margins_of(known, widest=widest, points=points) * math.nan
        return gap.expand(len(targets), 2, -1)
    return lines_of(subject, targets, widest=widest, points=points)


def _cells(ladders: Sequence[Sequence[Places]], steps: Sequence[int]) -> int:
    return math.prod(len(ladder[step].grid) for ladder, step in zip(ladders, steps, strict=True))


def _turned(knob: Knob, value: float) -> float:
    return math.log(value) if knob.scale == "log" else value


def _stops(knob: Knob, most: int) -> tuple[Places, ...]:
    """More and more stops of one slider."""
    if knob.whole:  # nothing is between its values, and each that is left out is missed
        values = knob.spread(most)
        present = {i for i, value in enumerate(values) if value == knob.value}
        strides = (16, 8, 4, 2, 1)
        kept = [{*range(0, len(values), each), len(values) - 1} | present for each in strides]
        grids = dict.fromkeys(tuple(values[i] for i in sorted(each)) for each in kept)
        return tuple(Places(grid, 1.0 - len(grid) / len(values), stepped=True) for grid in grids
                     if len(grid) >= min(3, len(values)))  # fmt: skip
    return tuple(Places(grid, _COARSE / len(grid), stepped=True) for grid in round_stops(knob))


def _smooth(
    subject: Subject, knob: Knob, targets: Sequence[Target], most: int
) -> tuple[Places, ...]:
    """Finer and finer grids of one slider to interpolate between; none for whole numbers."""
    if knob.whole:
        return ()
    known: dict[float, Tensor] = {}
    turned = Turned(subject, [knob])
    p = margins_of(subject, widest=_WIDEST, points=_POINTS).sigmoid()

    def line(value: float) -> Tensor:
        if value not in known:
            known[value] = lines_at(turned, [value], targets, widest=_WIDEST, points=_POINTS)
        return known[value]

    grid, found = sorted({*knob.spread(2), knob.value}), []
    while True:
        # Few places could be right in the middle by chance.
        inner = (0.25, 0.5, 0.75) if len(grid) < _NEAR else (0.5,)
        pairs = list(itertools.pairwise(grid))
        errors = [
            max(_error(knob, grid, _between(knob, *ends, part), line, p) for part in inner)
            for ends in pairs
        ]
        worst = max(range(len(errors)), key=errors.__getitem__)
        found.append(Places(tuple(grid), errors[worst], stepped=False))
        if errors[worst] <= _GOOD or len(grid) >= most:
            return tuple(found)
        grid = sorted([*grid, _between(knob, *pairs[worst], 0.5)])


def _between(knob: Knob, low: float, high: float, part: float) -> float:
    logs = knob.scale == "log"
    value = low * (high / low) ** part if logs else low + part * (high - low)
    return float(f"{value:.9g}")


def _error(
    knob: Knob, grid: list[float], value: float, line: Callable[[float], Tensor], p: Tensor
) -> float:
    """The error at a value between the places of a grid."""
    near, weights = _weights([_turned(knob, each) for each in grid], _turned(knob, value))
    corners = torch.stack([line(grid[i]) for i in near])
    guess = torch.tensordot(corners.new_tensor(weights), corners, 1)
    return float(off(guess, line(value), p))


def _weights(grid: list[float], x: float) -> tuple[list[int], list[float]]:
    """The places around a value, and what each counts in the polynomial through them."""
    low = min(max(sum(1 for each in grid if each <= x) - 1, 0), max(len(grid) - 2, 0))
    count = min(_NEAR, len(grid))
    first = min(max(low - 1, 0), len(grid) - count)
    near = list(range(first, first + count))
    weights = [math.prod((x - grid[k]) / (grid[j] - grid[k]) for k in near if k != j) for j in near]
    return near, weights
