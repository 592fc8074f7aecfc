"""The curves behind the sliders of the page: a grid over the parameters, sampled by the library."""

from __future__ import annotations

import array
import base64
import itertools
import math
import random
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from taylored.explain.explanation import LossView
from taylored.explain.parameters import Knob, varied
from taylored.explain.places import Places, between, lines_of, off, places_of
from taylored.explain.subject import Subject
from taylored.explain.views import Target, view_of, view_of_many

SLIDERS = 3
"""Parameters of a loss that have sliders; the grid grows by a factor for each."""
STEPS = 200
"""Stops of a slider that may stop between the places of its grid; the script knows the number."""

_WIDEST, _POINTS = 9.0, 91
_BYTES = 1_500_000
"""What the numbers of all losses may take together."""
_PER_NUMBER = 4 * 4 / 3
_CELLS = {True: 700, False: 48}
"""Most places of a grid, by whether the loss takes many samples at once: a matter of seconds."""
_TOLERATED = 0.006
"""Largest error between the places of a grid, over the range of a curve, where it was looked at."""
_JUMP = 0.2
"""An error that no finer grid mends: the parameter moves a jump."""
_LOOKS = {True: 32, False: 4}
"""Settings at which it is looked at for each slider, and for all of them together."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A loss at every place of a grid.

    Args:
        knobs: its sliders.
        places: their grids.
        stepped: which of them stop at these places only, because what is between them would be off.
        lines: an axis for each slider, then sides, loss and gain, points.
        margins: of the points.
        p: the same as probabilities of the truth.

    """

    knobs: tuple[Knob, ...]
    places: tuple[Places, ...]
    stepped: tuple[bool, ...]
    lines: Tensor
    margins: Tensor
    p: Tensor

    def stop(self, which: int, part: float) -> float:
        """The value at a part of a slider's way, as the script of the page finds it."""
        knob, grid = self.knobs[which], self.places[which].grid
        if self.stepped[which]:
            return grid[round(part * (len(grid) - 1))]
        low, high, step = grid[0], grid[-1], round(part * STEPS) / STEPS
        if knob.scale == "log":
            return float(f"{low * (high / low) ** step:.4g}")
        return float(f"{low + (high - low) * step:.4g}")

    def at(self, values: Sequence[float]) -> Tensor:
        """What the page shows for these values: sides, loss and gain, points."""
        return between(self.knobs, self.places, self.lines, values)


def sampled(loss: LossView, losses: int) -> Sampled:
    """The curves of a loss at every place of the grid of its sliders.

    Args:
        loss: the loss.
        losses: how many share the page.

    """
    knobs = tuple(effect.knob for effect in loss.effects[:SLIDERS])
    targets: tuple[Target, ...] = (1, 0)
    sides = targets[: len(loss.views)]
    room = _BYTES / losses / (len(sides) * _POINTS * 2 * _PER_NUMBER)
    most = min(room, _CELLS[loss.subject.at_once] / len(sides))
    places = tuple(places_of(loss.subject, knobs, sides, most))
    cells = itertools.product(*(each.grid for each in places))
    lines = torch.stack([exact(loss.subject, knobs, cell, sides) for cell in cells])
    lines = lines.reshape(*(len(each.grid) for each in places), *lines.shape[1:])
    axis = view_of(loss.subject, 1, "", widest=_WIDEST, points=_POINTS)
    stepped = tuple(knob.whole for knob in knobs)
    found = Sampled(knobs, places, stepped, lines, axis.margins, axis.p_t)
    return _stepped_where_wrong(found, loss.subject, sides)


def exact(
    subject: Subject, knobs: Sequence[Knob], values: Sequence[float], sides: Sequence[Target]
) -> Tensor:
    """Loss and gain of each side, by the library; no line for values that do not go together."""
    moved = varied(subject, list(zip(knobs, values, strict=True))) if knobs else subject
    views = [view_of_many(moved or subject, side, widest=_WIDEST, points=_POINTS) for side in sides]
    return torch.stack([lines_of(view if moved else view.blank()) for view in views])


def payload(loss: LossView, found: Sampled) -> dict[str, Any]:
    """The same for the script of the page."""
    by_side = found.lines.movedim(len(found.knobs), 0)
    return {
        "name": loss.name,
        "sides": [view.side for view in loss.views],
        "margins": found.margins.tolist(),
        "p": found.p.tolist(),
        "knobs": [
            {"label": k.label, "effect": k.effect, "value": k.value, "scale": k.scale,
             "stepped": stepped, "grid": list(each.grid)}
            for k, each, stepped in zip(found.knobs, found.places, found.stepped, strict=True)
        ],
        "lines": {
            name: _packed(by_side.select(-2, at)) for at, name in enumerate(("value", "gain"))
        },
    }  # fmt: skip


def _stepped_where_wrong(found: Sampled, subject: Subject, sides: Sequence[Target]) -> Sampled:
    """The same, with the sliders held to their places between which the curves would be wrong."""
    drawn = random.Random(0)  # noqa: S311 - settings, no secrets
    looks = _LOOKS[subject.at_once]

    def wrong(moved: Collection[int], look: int) -> float:
        values = [
            _inside(found, i, look, drawn) if i in moved else drawn.choice(each.grid)
            for i, each in enumerate(found.places)
        ]
        right = exact(subject, found.knobs, values, sides)
        return float(off(found.at(values), right, found.p))

    free = [
        i
        for i, (held, each) in enumerate(zip(found.stepped, found.places, strict=True))
        if not held and each.error <= _TOLERATED
    ]
    pairs = zip(found.knobs, found.places, strict=True)
    if any(each.error > _JUMP and not knob.whole for knob, each in pairs):
        free = []  # a jump moves with the others as well, and looks at chance would miss it
    while free:
        alone = {i: max(wrong({i}, look) for look in range(looks)) for i in free}
        worst = max(free, key=lambda i: alone[i])
        if alone[worst] <= _TOLERATED and (
            len(free) == 1 or max(wrong(free, look) for look in range(2 * looks)) <= _TOLERATED
        ):
            break
        free.remove(worst)
    return replace(found, stepped=tuple(i not in free for i in range(len(found.knobs))))


def _inside(found: Sampled, which: int, look: int, drawn: random.Random) -> float:
    """A value between two places: near both ends first, and half the way or anywhere."""
    grid, part = found.places[which].grid, 0.5 if look % 2 == 0 else drawn.random()
    last = max(len(grid) - 2, 0)
    at = (0, last)[look // 2] if look < 4 else drawn.randint(0, last)
    low, high = grid[at], grid[min(at + 1, len(grid) - 1)]
    if found.knobs[which].scale == "log":
        return low * math.exp(part * math.log(high / low))
    return low + part * (high - low)


def _packed(lines: Tensor) -> str:
    """Numbers as float32, little-endian, in base64."""
    packed = array.array("f", lines.float().flatten().tolist())
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
