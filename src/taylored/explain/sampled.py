"""The curves behind the sliders of the page: a grid over the parameters, sampled by the library."""

from __future__ import annotations

import array
import base64
import itertools
import sys
from dataclasses import replace
from typing import Any

from torch import Tensor

from taylored.explain.explanation import LossView
from taylored.explain.parameters import Knob, varied
from taylored.explain.places import places_of
from taylored.explain.views import Target, View, view_of

SLIDERS = 3
"""Parameters of a loss that have sliders; the grid grows by a factor for each."""

_WIDEST, _POINTS = 9.0, 91
_BYTES = 1_300_000
"""What the numbers of all losses may take together."""
_PER_NUMBER = 4 * 4 / 3
_CELLS = {True: 240, False: 48}
"""Most places of a grid, by whether the loss takes many samples at once: a matter of seconds."""


def sampled(loss: LossView, losses: int) -> dict[str, Any]:
    """A loss for the page: its sliders, and its curves at every place of their grid.

    Args:
        loss: the loss.
        losses: how many share the page.

    """
    knobs = [effect.knob for effect in loss.effects[:SLIDERS]]
    room = _BYTES / losses / (len(loss.views) * _POINTS * 3 * _PER_NUMBER)
    targets: tuple[Target, ...] = (1, 0)
    sides = list(zip(targets, loss.views, strict=False))
    most = min(room, _CELLS[loss.subject.at_once])
    places = places_of(loss.subject, knobs, [target for target, _ in sides], most)
    cells = list(itertools.product(*(each.grid for each in places)))
    lines: dict[str, list[Tensor]] = {"value": [], "gradient": [], "gain": []}
    for target, view in sides:
        for cell in cells:
            found = _cell(loss, knobs, cell, target, view)
            for name, kept in lines.items():
                kept.append(getattr(found, name))
    first = view_of(loss.subject, 1, "", widest=_WIDEST, points=_POINTS)
    return {
        "name": loss.name,
        "sides": [view.side for _, view in sides],
        "margins": first.margins.tolist(),
        "p": first.p_t.tolist(),
        "knobs": [
            {"label": k.label, "effect": k.effect, "value": k.value, "scale": k.scale,
             "whole": k.whole, "grid": list(each.grid), "how": each.how}
            for k, each in zip(knobs, places, strict=True)
        ],
        "lines": {name: _packed(kept) for name, kept in lines.items()},
    }  # fmt: skip


def _cell(
    loss: LossView, knobs: list[Knob], cell: tuple[float, ...], target: Target, view: View
) -> View:
    subject = varied(loss.subject, list(zip(knobs, cell, strict=True))) if knobs else loss.subject
    if subject is None:  # values that do not go together: no line there
        none = view_of(loss.subject, target, view.side, widest=_WIDEST, points=_POINTS)
        gap = none.value * float("nan")
        return replace(none, value=gap, gradient=gap, gain=gap)
    return view_of(subject, target, view.side, widest=_WIDEST, points=_POINTS)


def _packed(lines: list[Tensor]) -> str:
    """Numbers as float32, little-endian, in base64."""
    packed = array.array("f")
    for line in lines:
        packed.extend(line.tolist())
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
