"""Calls with any parameters in their domains, drawn by hypothesis from the fields of each loss."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import hypothesis.strategies as st
import torch
from hypothesis import reject

from kit.cases import GENERATED, build, call_of
from kit.parameters import fields_of
from kit.traits import CLASSES
from references import Call
from taylored import catalog
from taylored.modules.fields.field import Field

Values = st.SearchStrategy[object]

POINTS = (-1.0, 0.0, 1e-6, 0.1, 0.5, 0.999, 0.9999, 1.0, 1.5, 2.0, 5.0)
"""Where forms change, drawn more often than others."""

MOST = 10.0
"""Of a parameter without bound or search range, so that float16 gradients do not overflow."""


def values_of(field: Field) -> Values:
    """Any value that a parameter may have; the layout of a call is not drawn."""
    if field.about.needs == "num_classes":
        return st.just(CLASSES)
    if field.name in ("class_dim", "background_index"):  # they say how logits and targets look
        return st.just(field.default)
    if field.about.needs == "counts":
        return st.lists(st.integers(1, 10**6), min_size=CLASSES, max_size=CLASSES)
    if field.name == "num_samples":  # beyond any of the counts
        return st.one_of(st.none(), st.sampled_from((10**6, 10**9)))
    kinds: list[Values] = []
    if field.choices:
        kinds.append(st.sampled_from(field.choices))
    if field.number is int:
        kinds.append(_whole_numbers(field))
    if field.number is float:
        low, high = _bounds(field)
        points = [point for point in POINTS if point in field.interval and low <= point <= high]
        kinds.append(st.one_of(st.sampled_from([low, *points, high]), st.floats(low, high)))
    if field.per_class:
        kinds.append(_per_class(field))
    if field.sequence:
        # No coefficient of a polynomial that starts with -log p falls below zero: -1/5 is enough.
        kinds.append(st.lists(st.floats(-0.2, MOST), min_size=1, max_size=5))
    if field.optional:
        kinds.append(st.none())
    return st.one_of(kinds)


def _whole_numbers(field: Field) -> Values:
    if math.isinf(field.interval.low):
        return st.sampled_from((-100, 1, CLASSES - 1))  # classes, and none of them
    low, high = _bounds(field)
    return st.integers(math.ceil(low), math.floor(high))


def _per_class(field: Field) -> Values:
    """No hair's breadths: a mean over weights of 1e-38 overflows where smoothing reaches others."""
    low, high = _bounds(field)
    each = st.one_of(st.just(low), st.floats(low + 1e-3, high))
    return st.lists(each, min_size=CLASSES, max_size=CLASSES)


def _bounds(field: Field) -> tuple[float, float]:
    """The interval, without its open ends and no wider than a search would be."""
    interval, search = field.interval, field.about.search
    low, high = interval.low, interval.high
    if math.isinf(high):
        high = max(MOST, search[1] if search else 0.0) if low >= 0 else 2.0
    if math.isinf(low):
        low = -MOST if high <= 0 else -2.0
    if interval.low_open:
        low += search[0] / 10 if search else (high - low) / 100
    if interval.high_open:
        high -= (high - low) / 100
    return low, high


@functools.cache
def wrapped_by(name: str) -> tuple[str, ...]:
    """The losses that a wrapper takes."""
    found = []
    for inner, spec in GENERATED.items():
        if spec.inner != "none":
            continue
        try:
            build(call_of(Call(name, call_of(inner), {}).text()))
        except ValueError:
            continue
        found.append(inner)
    assert found, name
    return tuple(found)


def calls_of(name: str) -> st.SearchStrategy[Call]:
    """Any parameters in their domains, as far as they go together."""
    spec, fields = catalog.SPECS[name], fields_of(name)

    @st.composite
    def draw(pick: st.DrawFn) -> Call:
        inner = None
        if spec.inner != "none":
            inner = pick(st.sampled_from(wrapped_by(name)).flatmap(calls_of))
            kept = {key: v for key, v in inner.arguments.items() if key != "weight"}
            inner = replace(inner, arguments=kept)
        arguments = {key: pick(values_of(field)) for key, field in fields.items()}
        if arguments.get("link") == "softmax":
            for key, field in fields.items():
                if "sigmoid only" in field.about.effect:
                    arguments[key] = None
        call = call_of(Call(name, inner, arguments).text())
        try:
            build(call).eval()(torch.zeros(2, CLASSES), torch.arange(2))
        except ValueError:  # parameters that do not go together
            reject()
        return call

    return draw()
