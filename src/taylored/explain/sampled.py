"""The curves behind the sliders of the page: a grid over the parameters, sampled by the library."""

from __future__ import annotations

import array
import base64
import math
import random
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from taylored.explain.explanation import LossView
from taylored.explain.parameters import Knob, Turned
from taylored.explain.places import (
    TOLERATED,
    Places,
    between,
    ladders_of,
    lines_at,
    off,
    places_of,
)
from taylored.explain.subject import Subject
from taylored.explain.views import Target, margins_of

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
_LOOKS = {True: 32, False: 4}
"""Settings at which it is looked at for each slider, and for all of them together."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A loss at every place of a grid.

    Args:
        knobs: its sliders.
        places: their grids.
        lines: an axis for each slider, then sides, loss and gain, points.
        margins: of the points.
        p: the same as probabilities of the truth.

    """

    knobs: tuple[Knob, ...]
    places: tuple[Places, ...]
    lines: Tensor
    margins: Tensor
    p: Tensor

    def stop(self, which: int, part: float) -> float:
        """The value at a part of a slider's way, as the script of the page finds it."""
        knob, grid = self.knobs[which], self.places[which].grid
        if self.places[which].stepped:
            return grid[round(part * (len(grid) - 1))]
        low, high, step = grid[0], grid[-1], round(part * STEPS) / STEPS
        if knob.scale == "log":
            return float(f"{low * (high / low) ** step:.4g}")
        return float(f"{low + (high - low) * step:.4g}")

    def at(self, values: Sequence[float]) -> Tensor:
        """What the page shows for these values: sides, loss and gain, points."""
        return between(self.knobs, self.places, self.lines.__getitem__, values)


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
    cells = min(room, _CELLS[loss.subject.at_once])
    ladders, held = ladders_of(loss.subject, knobs, sides), set[int]()
    seen = _Seen(Turned(loss.subject, knobs), knobs, sides)
    while True:
        places = tuple(places_of(ladders, cells, held))
        wrong = _wrong_between(seen, places)
        if wrong is None:
            margins = margins_of(loss.subject, widest=_WIDEST, points=_POINTS)
            return Sampled(knobs, places, seen.grid(places), margins, margins.sigmoid())
        held.add(wrong)


class _Seen:
    """The curves of a loss at settings of its sliders, each asked for once."""

    def __init__(self, turned: Turned, knobs: Sequence[Knob], sides: Sequence[Target]) -> None:
        self.turned, self.knobs, self._sides = turned, knobs, sides
        self._known: dict[tuple[float, ...], Tensor] = {}

    def at(self, values: Iterable[float]) -> Tensor:
        key = tuple(values)
        if key not in self._known:
            self._known[key] = _exact(self.turned, key, self._sides)
        return self._known[key]

    def between(self, places: Sequence[Places], values: Sequence[float]) -> Tensor:
        """What the page would show."""

        def cell(indices: tuple[int, ...]) -> Tensor:
            return self.at(each.grid[i] for each, i in zip(places, indices, strict=True))

        return between(self.knobs, places, cell, values)

    def grid(self, places: Sequence[Places]) -> Tensor:
        """An axis for each slider, then the curves."""
        lines = torch.stack([self.at(cell) for cell in product(*(each.grid for each in places))])
        return lines.reshape(*(len(each.grid) for each in places), *lines.shape[1:])


def exact(
    subject: Subject, knobs: Sequence[Knob], values: Sequence[float], sides: Sequence[Target]
) -> Tensor:
    """Loss and gain of each side, by the library; no line for values that do not go together."""
    return _exact(Turned(subject, knobs), values, sides)


def _exact(turned: Turned, values: Sequence[float], sides: Sequence[Target]) -> Tensor:
    return lines_at(turned, values, sides, widest=_WIDEST, points=_POINTS)


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
             "stepped": each.stepped, "grid": list(each.grid)}
            for k, each in zip(found.knobs, found.places, strict=True)
        ],
        "lines": {
            name: _packed(by_side.select(-2, at)) for at, name in enumerate(("value", "gain"))
        },
    }  # fmt: skip


def _wrong_between(seen: _Seen, places: Sequence[Places]) -> int | None:
    """A slider between whose places the curves are wrong, or None where they are right."""
    drawn = random.Random(0)  # noqa: S311 - settings, no secrets
    looks = _LOOKS[seen.turned.subject.at_once]
    p = margins_of(seen.turned.subject, widest=_WIDEST, points=_POINTS).sigmoid()

    def wrong(moved: Collection[int], look: int) -> float:
        values = [
            _inside(seen.knobs[i], each.grid, look, drawn)
            if i in moved
            else drawn.choice(each.grid)
            for i, each in enumerate(places)
        ]
        return float(off(seen.between(places, values), seen.at(values), p))

    free = [i for i, each in enumerate(places) if not each.stepped]
    alone = dict.fromkeys(free, 0.0)
    for i, look in product(free, range(looks)):
        alone[i] = max(alone[i], wrong({i}, look))
        if alone[i] > TOLERATED:
            return i
    if len(free) > 1 and any(wrong(free, look) > TOLERATED for look in range(2 * looks)):
        return max(free, key=alone.__getitem__)
    return None


def _inside(knob: Knob, grid: Sequence[float], look: int, drawn: random.Random) -> float:
    """A value between two places: near both ends first, and half the way or anywhere."""
    part = 0.5 if look % 2 == 0 else drawn.random()
    last = max(len(grid) - 2, 0)
    at = (0, last)[look // 2] if look < 4 else drawn.randint(0, last)
    low, high = grid[at], grid[min(at + 1, len(grid) - 1)]
    if knob.scale == "log":
        return low * math.exp(part * math.log(high / low))
    return low + part * (high - low)


def _packed(lines: Tensor) -> str:
    """Numbers as float32, little-endian, in base64."""
    packed = array.array("f", lines.float().flatten().tolist())
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
