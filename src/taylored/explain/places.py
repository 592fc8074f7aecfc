"""Where along its sliders a loss is sampled: densely where a parameter needs it, and nowhere else.

Each parameter is sampled on a fine line of its own first, with the others as they are. Of this line
as many places are kept as it takes for the interpolation of the page to meet those left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from taylored.explain.parameters import Knob, varied
from taylored.explain.subject import Subject
from taylored.explain.views import Target, view_of

How = Literal["linear", "log"]

_FINE = {True: 33, False: 9}
"""Places of the fine line, by whether the loss takes many samples at once."""
_STRIDES = (16, 8, 4, 2, 1)
_GOOD = 0.003
_NEAR = 4
"""Places that an interpolation looks at; the script of the page knows the same number."""


@dataclass(frozen=True)
class Places:
    """The grid of one slider.

    Args:
        grid: the values that are sampled, rising.
        how: whether the curves or their logarithms are interpolated, where these exist.
        error: largest error of the gain at values of the fine line that were left out.

    """

    grid: tuple[float, ...]
    how: How
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


def _cells(ladders: Sequence[Sequence[Places]], steps: Sequence[int]) -> int:
    return math.prod(len(ladder[step].grid) for ladder, step in zip(ladders, steps, strict=True))


def _ladder(subject: Subject, knob: Knob, targets: Sequence[Target]) -> list[Places]:
    """Finer and finer grids of one slider."""
    values = knob.spread(_FINE[subject.at_once])
    lines = torch.stack([_line(subject, knob, value, targets) for value in values])
    turned = [math.log(v) if knob.scale == "log" else v for v in values]
    found: list[Places] = []
    for stride in _STRIDES:
        kept = {*range(0, len(values), stride), len(values) - 1}
        kept |= {i for i, value in enumerate(values) if value == knob.value}
        grid = tuple(values[i] for i in sorted(kept))
        if len(grid) < min(3, len(values)) or (found and grid == found[-1].grid):
            continue
        if knob.whole:  # nothing is between its values, and each that is left out is missed
            found.append(Places(grid, "linear", 1.0 - len(grid) / len(values)))
            continue
        errors: dict[How, float] = {
            "linear": _error(turned, lines, sorted(kept), "linear"),
            "log": _error(turned, lines, sorted(kept), "log"),
        }
        how: How = "log" if errors["log"] < errors["linear"] else "linear"
        found.append(Places(grid, how, errors[how]))
    return found


def _line(subject: Subject, knob: Knob, value: float, targets: Sequence[Target]) -> Tensor:
    """The gain for all sides, where it is looked at."""
    moved = varied(subject, [(knob, value)])
    views = [view_of(moved or subject, target, "", widest=4.6, points=31) for target in targets]
    line = torch.cat([view.gain for view in views])
    return line if moved is not None else line * math.nan


def _error(x: list[float], lines: Tensor, kept: list[int], how: How) -> float:
    """The largest error of the places that were left out, relative where the gain is not small."""
    worst = 0.0
    for i in range(len(x)):
        if i in kept:
            continue
        low = sum(1 for k in kept if k < i) - 1
        first = min(max(low - 1, 0), max(len(kept) - _NEAR, 0))
        near = kept[first : first + _NEAR]
        weights = lines.new_tensor(
            [math.prod((x[i] - x[k]) / (x[j] - x[k]) for k in near if k != j) for j in near]
        ).unsqueeze(1)
        corners = lines[near]
        guess = (weights * corners).sum(0)
        if how == "log":
            logarithms = (weights * corners.clamp_min(1e-300).log()).sum(0).exp()
            guess = torch.where((corners > 0).all(0), logarithms, guess)
        off = (guess - lines[i]).abs() / (0.05 + lines[i].abs())
        worst = max(worst, float(off.nan_to_num(0.0).max()))
    return worst
