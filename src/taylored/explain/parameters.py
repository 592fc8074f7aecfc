"""What each parameter does: the loss at values over the parameter's declared range."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from taylored.explain.subject import Subject, parts_of, quiet
from taylored.explain.views import Target, View, lines_of, view_of
from taylored.modules.base import parameters_of
from taylored.modules.fields.field import Field
from taylored.modules.fields.parameter import Scale, Search

_FAMILY = 5
_WIDEST, _POINTS = 8.0, 81


@dataclass(frozen=True)
class Knob:
    """A number of a loss that has a declared search range; 0 is in it where the loss allows that.

    Args:
        path: of the part that has it, empty for the loss itself.
        name: of the parameter.
        label: what it is shown by: its name, with the path where that is not enough.
        effect: what it does, as its author says.
        low: low end of the range, which the present value is always in.
        high: high end.
        scale: "linear" or "log".
        whole: whether it takes whole numbers only.
        value: what it is now.

    """

    path: str
    name: str
    label: str
    effect: str
    low: float
    high: float
    scale: Scale
    whole: bool
    value: float

    def spread(self, count: int) -> tuple[float, ...]:
        """So many values over the range, and the present one among them."""
        steps = [i / (count - 1) for i in range(count)]
        if self.scale == "log":
            values = [self.low * (self.high / self.low) ** t for t in steps]
        else:
            values = [self.low + (self.high - self.low) * t for t in steps]
        if self.whole:
            values = [float(round(v)) for v in values]
        # The present value takes the place of the nearest inner one, so that it is exact.
        inner = range(1, len(values) - 1)
        if self.value not in values and inner:
            values[min(inner, key=lambda i: abs(values[i] - self.value))] = self.value
        return tuple(sorted({float(f"{v:.9g}") for v in values}))


@dataclass(frozen=True, eq=False)
class Effect:
    """What one parameter does to a loss.

    Args:
        knob: the parameter.
        values: the values that are shown, rising.
        family: for each side, the loss at each value.

    """

    knob: Knob
    values: tuple[float, ...]
    family: dict[str, tuple[View, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings."""
        knob = self.knob
        return {
            "parameter": knob.label,
            "effect": knob.effect,
            "range": [knob.low, knob.high],
            "scale": knob.scale,
            "value": knob.value,
            "values": list(self.values),
            "family": {side: [v.to_dict() for v in views] for side, views in self.family.items()},
        }


def knobs_of(subject: Subject) -> list[Knob]:
    """The parameters of a loss and of the losses inside it that have a range."""
    if not isinstance(subject.loss, nn.Module):
        return []
    found = []
    for path, part in parts_of(subject.loss).items():
        for name, field in parameters_of(type(part)).items():
            value = getattr(part, name)
            search, number = field.parameter.search, isinstance(value, (int, float))
            if search is None or field.about.fixed or isinstance(value, bool) or not number:
                continue
            found.append((path, field, search, value))
    names = [field.name for _, field, *_ in found]
    knobs = [_knob(*each, unique=names.count(each[1].name) == 1) for each in found]
    return [
        _from_zero(subject, knob) if 0 in field.interval else knob
        for knob, (_, field, *_) in zip(knobs, found, strict=True)
    ]


def _from_zero(subject: Subject, knob: Knob) -> Knob:
    """The knob down to 0, where most parameters are switched off; not if the loss jumps there."""
    if knob.scale == "log" or knob.low <= 0:
        return knob
    wider = replace(knob, low=0.0)
    tried = [varied(subject, [(wider, value)]) for value in (0.0, 1e-6 * knob.high)]
    at, near = [
        None if each is None else lines_of(each, (1, 0), widest=_WIDEST / 2, points=_POINTS // 4)
        for each in tried
    ]
    if at is None or near is None:
        return knob
    steady = knob.whole or torch.allclose(at, near, rtol=1e-3, atol=1e-3)
    return wider if steady else knob


def varied(subject: Subject, settings: Sequence[tuple[Knob, float]]) -> Subject | None:
    """The loss with other values of its parameters; None for values that do not go together."""
    knobs, values = [knob for knob, _ in settings], [value for _, value in settings]
    return Turned(subject, knobs).at(values)


class Turned:
    """A loss whose parameters are turned again and again: one copy, in which what moves is set.

    What it gives is valid until it is turned again.
    """

    def __init__(self, subject: Subject, knobs: Sequence[Knob]) -> None:
        self.subject, self._knobs = subject, tuple(knobs)
        self._now: list[float | None] = []
        self._copy: nn.Module | None = None

    def at(self, values: Sequence[float]) -> Subject | None:
        """The loss at these values of the knobs; None for values that do not go together."""
        if not self._knobs:
            return self.subject
        if not isinstance(self.subject.loss, nn.Module):
            return None
        # From values that were fine, the way may lead past some that are not: then from the start.
        fresh = self._copy is None
        loss = self._set(self._copy or copy.deepcopy(self.subject.loss), values)
        if loss is None and not fresh:
            self._now = []
            loss = self._set(copy.deepcopy(self.subject.loss), values)
        self._copy = loss
        return None if loss is None else replace(self.subject, loss=loss)

    def _set(self, loss: nn.Module, values: Sequence[float]) -> nn.Module | None:
        before = self._now or [None] * len(values)
        self._now = []
        parts = parts_of(loss)
        try:
            with quiet():
                for knob, old, value in zip(self._knobs, before, values, strict=True):
                    if value != old:
                        setattr(parts[knob.path], knob.name, int(value) if knob.whole else value)
        except ValueError:
            return None
        self._now = list(values)
        return loss


def effects_of(subject: Subject, knobs: list[Knob], sides: dict[Target, str]) -> list[Effect]:
    """A family of curves for each parameter that changes anything."""
    found = []
    for knob in knobs:
        tried = [(value, varied(subject, [(knob, value)])) for value in knob.spread(_FAMILY)]
        kept = [(value, each) for value, each in tried if each is not None]
        family = {
            side: tuple(
                view_of(each, target, side, widest=_WIDEST, points=_POINTS) for _, each in kept
            )
            for target, side in sides.items()
        }
        if any(_moves(views) for views in family.values()):
            found.append(Effect(knob, tuple(value for value, _ in kept), family))
    return found


def _moves(views: Sequence[View]) -> bool:
    first = views[0] if views else None
    return first is not None and any(
        not torch.allclose(first.value, other.value, equal_nan=True)
        or not torch.allclose(first.gradient, other.gradient, equal_nan=True)
        for other in views[1:]
    )


def _knob(path: str, field: Field, search: Search, value: float, *, unique: bool) -> Knob:
    """The knob of a field, over its search range and with its present value."""
    label = field.name if unique or not path else f"{path}.{field.name}"
    low, high = min(search.low, value), max(search.high, value)
    scale: Scale = "log" if search.scale == "log" and low > 0 and math.isfinite(high) else "linear"
    effect, whole = field.about.effect, field.number is int
    return Knob(path, field.name, label, effect, low, high, scale, whole, float(value))
