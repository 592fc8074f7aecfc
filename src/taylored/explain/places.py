"""Where along its sliders a loss is sampled: densely where its curves bend, and nowhere else.

Each parameter is sampled on a line of its own first, with the others as they are. A few places come
first; then, one by one, the middle of whichever interval the interpolation of the page misses most.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.explain.parameters import Knob, varied
from taylored.explain.subject import Subject
from taylored.explain.views import Target, View, view_of_many

_FIRST, _MOST = 3, {True: 33, False: 9}
"""Places to begin with, and most, by whether the loss takes many samples at once."""
_GOOD = 0.002
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

    """

    grid: tuple[float, ...]
    error: float


def places_of(
    subject: Subject, knobs: Sequence[Knob], targets: Sequence[Target], cells: float
) -> list[Places]:
    """A grid for each slider, which together have at most so many cells, or three values each."""
    ladders = [_ladder(subject, knob, targets) for knob in knobs]
    steps = [0] * len(knobs)
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
    knobs: Sequence[Knob], places: Sequence[Places], lines: Tensor, at: Sequence[float]
) -> Tensor:
    """What the page shows for any setting of the sliders: the script does the same.

    One slider after the other, the curves at its places nearby become one: by a cubic through four
    of them, so that few places are enough for a smooth parameter; at a place, by that place alone.

    Args:
        knobs: the sliders.
        places: the grid of each.
        lines: an axis for each slider, then the curves.
        at: a value for each.

    """
    for depth in reversed(range(len(knobs))):
        place = places[depth]
        if at[depth] in place.grid:
            lines = lines.select(depth, place.grid.index(at[depth]))
            continue
        turned = [_turned(knobs[depth], value) for value in place.grid]
        near, weights = _weights(turned, _turned(knobs[depth], at[depth]))
        lines = torch.tensordot(lines.new_tensor(weights), lines.movedim(depth, 0)[near], 1)
    return lines


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


def lines_of(view: View) -> Tensor:
    """Loss and gain, (2, points); the gradient is the gain by 1 - p."""
    return torch.stack([view.value, view.gain])


def _cells(ladders: Sequence[Sequence[Places]], steps: Sequence[int]) -> int:
    return math.prod(len(ladder[step].grid) for ladder, step in zip(ladders, steps, strict=True))


def _turned(knob: Knob, value: float) -> float:
    return math.log(value) if knob.scale == "log" else value


def _ladder(subject: Subject, knob: Knob, targets: Sequence[Target]) -> list[Places]:
    """Finer and finer grids of one slider."""
    if knob.whole:  # nothing is between its values, and each that is left out is missed
        values = knob.spread(_MOST[subject.at_once])
        present = {i for i, value in enumerate(values) if value == knob.value}
        strides = (16, 8, 4, 2, 1)
        kept = [{*range(0, len(values), each), len(values) - 1} | present for each in strides]
        grids = dict.fromkeys(tuple(values[i] for i in sorted(each)) for each in kept)
        return [Places(grid, 1.0 - len(grid) / len(values)) for grid in grids
                if len(grid) >= min(3, len(values))]  # fmt: skip
    known: dict[float, list[View]] = {}

    def line(value: float) -> list[View]:
        if value not in known:
            known[value] = [_view(subject, [(knob, value)], target) for target in targets]
        return known[value]

    grid, found = sorted({*knob.spread(_FIRST), knob.value}), []
    while True:
        middles = [_middle(knob, *ends) for ends in itertools.pairwise(grid)]
        errors = [_error(knob, grid, middle, line) for middle in middles]
        worst = max(range(len(errors)), key=errors.__getitem__)
        found.append(Places(tuple(grid), errors[worst]))
        if errors[worst] <= _GOOD or len(grid) >= _MOST[subject.at_once]:
            return found
        grid = sorted([*grid, middles[worst]])


def _middle(knob: Knob, low: float, high: float) -> float:
    middle = math.sqrt(low * high) if knob.scale == "log" else (low + high) / 2
    return float(f"{middle:.9g}")


def _error(
    knob: Knob, grid: list[float], value: float, line: Callable[[float], list[View]]
) -> float:
    """The error at a value between the places of a grid."""
    near, weights = _weights([_turned(knob, each) for each in grid], _turned(knob, value))
    corners = torch.stack([_stacked(line(grid[i])) for i in near])
    guess = torch.tensordot(corners.new_tensor(weights), corners, 1)
    return float(off(guess, _stacked(line(value)), line(value)[0].p_t))


def _stacked(views: Sequence[View]) -> Tensor:
    return torch.stack([lines_of(view) for view in views])


def _view(subject: Subject, settings: Sequence[tuple[Knob, float]], target: Target) -> View:
    """The curves where they are looked at, without a line where values do not go together."""
    moved = varied(subject, settings)
    view = view_of_many(moved or subject, target, widest=_WIDEST, points=_POINTS)
    return view if moved is not None else view.blank()


def _weights(grid: list[float], x: float) -> tuple[list[int], list[float]]:
    """The places around a value, and what each counts in the polynomial through them."""
    low = min(max(sum(1 for each in grid if each <= x) - 1, 0), max(len(grid) - 2, 0))
    count = min(_NEAR, len(grid))
    first = min(max(low - 1, 0), len(grid) - count)
    near = list(range(first, first + count))
    weights = [math.prod((x - grid[k]) / (grid[j] - grid[k]) for k in near if k != j) for j in near]
    return near, weights
