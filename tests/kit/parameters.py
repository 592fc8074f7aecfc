"""Losses built from keywords, and values inside and outside the domain of every parameter.

All of it follows from the fields that a loss declares: a new loss is known here without an entry.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kit.traits import CLASSES, COUNTS, arguments_of
from taylored import CrossEntropyLoss, catalog
from taylored.modules.classification import parameters_of
from taylored.modules.fields.field import Field
from taylored.modules.fields.parameter import REQUIRED

DATA = {"counts": list(COUNTS), "num_classes": CLASSES}
"""What a loss may have to be told about the data."""


def fields_of(name: str) -> dict[str, Field]:
    """The parameters that are given by keyword."""
    declared = parameters_of(catalog.SPECS[name].module)
    return {key: field for key, field in declared.items() if not field.by_position}


def needed(name: str) -> dict[str, object]:
    """The keywords that a loss cannot do without."""
    return {
        key: DATA[field.about.needs]
        for key, field in fields_of(name).items()
        if field.default is REQUIRED
    }


def module(name: str, /, **options: object) -> nn.Module:
    """The module of a loss, with what it needs and these options."""
    spec = catalog.SPECS[name]
    link = {"link": options.pop("link")} if spec.inner == "required" and "link" in options else {}
    if link == {"link": "sigmoid"}:
        inner = (catalog.SPECS["binary_cross_entropy"].module(),)
    else:
        inner = (CrossEntropyLoss(),) if spec.inner == "required" else ()
    return spec.module(*inner, **{**needed(name), **options})


def function(name: str, /, *, classes: int = CLASSES, **options: object) -> Tensor:
    """The function of a loss, called with what it needs and these options."""
    logits, target, further = arguments_of(name, classes)
    called = catalog.SPECS[name].function
    assert called is not None
    return called(logits, target, *further, **{**needed(name), **options})


def links(name: str) -> list[dict[str, str]]:
    """The options that choose a link, where there is a choice."""
    return [{"link": link} for link in catalog.SPECS[name].links] if has_choice(name) else [{}]


def has_choice(name: str) -> bool:
    spec = catalog.SPECS[name]
    return len(spec.links) > 1


# --- values -----------------------------------------------------------------------------------


def inside(field: Field) -> list[object]:
    """A few values of the domain of a parameter."""
    if field.about.needs == "counts":
        return [list(COUNTS[::-1]), [3.0] * CLASSES]
    if field.about.needs == "num_classes":
        return [CLASSES]
    found: list[object] = list(field.choices)
    if field.number is not None:
        found += [field.number(value) for value in _numbers(field)]
    if field.per_class:
        found.append(per_class_values(field, CLASSES))
    if field.sequence:
        found.append([0.5, -0.25, 0.2])
    if field.optional:
        found.append(None)
    return found


def _range(field: Field) -> tuple[float, float]:
    """A bounded part of the interval, off its open ends."""
    low, high = field.interval.low, field.interval.high
    if field.about.search is not None:
        low, high = max(low, field.about.search[0]), min(high, field.about.search[1])
    if math.isinf(low):
        low = high - 2.0 if math.isfinite(high) else -1.0
    if math.isinf(high):
        high = low + 2.0
    width = high - low
    low, high = (
        low + width * field.interval.low_open / 8,
        high - width * field.interval.high_open / 8,
    )
    return low, high


def _numbers(field: Field) -> list[float]:
    low, high = _range(field)
    values = [low, low + (high - low) / 3, high]
    return sorted({math.ceil(v) for v in values}) if field.number is int else values


def outside(field: Field) -> dict[str, object]:
    """Values that a parameter must refuse, by what is wrong with them."""
    found: dict[str, object] = {"a truth value": True, "a nested list": [[1.0, 2.0], [3.0, 4.0]]}
    found["a word"] = "nonsense"
    if not field.optional:
        found["nothing"] = None
    if field.choices:
        found["a number for a word"] = 2
        return found
    found["no number"] = math.nan
    low, high = field.interval.low, field.interval.high
    if math.isfinite(low):
        found["below"] = low if field.interval.low_open else low - 1
    if math.isfinite(high):
        found["above"] = high if field.interval.high_open else high + 1
    if field.number is int:
        found["half of a whole number"] = max(low, 0.0) + 0.5
    if field.number is None:
        found = {k: v for k, v in found.items() if k not in ("below", "above", "no number")}
    if field.per_class:
        found["an empty list"] = []
        found["a word among numbers"] = [1.0, "2"]
        if math.isfinite(low):
            found["one below"] = [*[_range(field)[1]] * (CLASSES - 1), low - 1]
    return found


def per_class_values(field: Field, classes: int) -> object | None:
    """A value for some number of classes; None for a parameter that is not per class."""
    if not field.per_class:
        return None
    if field.about.needs == "counts":
        return list(COUNTS[:classes])
    return torch.linspace(*_range(field), classes).tolist()


# --- what came out of it ------------------------------------------------------------------------

Outcome = tuple[str, ...] | tuple[str, Tensor]


def blamed(error: BaseException) -> str:
    """The parameter that an error message names first."""
    found = re.match(r"`(\w+)", str(error))
    return found[1] if found else str(error)


def outcome(name: str, make: Callable[[], nn.Module]) -> Outcome:
    """The repr of a loss and the value of its second training step, or whom its error blames."""
    logits, target, further = arguments_of(name)
    torch.manual_seed(0)  # some losses leave out elements at random
    try:
        loss = make()
        for _ in range(2):
            value = loss(logits.clone().requires_grad_(), target, *further)
    except (ValueError, TypeError) as error:
        return ("refused", blamed(error))
    return (repr(loss), value.detach())


def same_outcome(left: Outcome, right: Outcome) -> bool:
    (first, one), (second, other) = left, right
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return first == second and torch.equal(one, other)
    return left == right
