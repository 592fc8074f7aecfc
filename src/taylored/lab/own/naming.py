"""From losses and models as they are given in Python to names, which is all that a run records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from torch import nn

from taylored import catalog
from taylored.lab.errors import UsageError
from taylored.lab.own.importable import reference_to
from taylored.lab.own.objects import Packed, name_of_object, pack
from taylored.modules.base import Loss

GivenLoss = str | Callable[..., Any]
"""A loss: its name, a module or function `(logits, target) -> scalar`, or what builds one."""
GivenModel = str | Callable[..., nn.Module]
"""A model: its name, or a function `(input_shape, num_classes) -> nn.Module`."""


@dataclass(frozen=True, eq=False)
class Named:
    """Names in the order in which things were given, and the objects that have no other name."""

    names: tuple[str, ...] = ()
    objects: dict[str, Packed] = field(default_factory=dict)


def name_losses(given: Sequence[GivenLoss]) -> Named:
    """A name for every loss.

    A loss of the catalogue gets its string, a function or class that others can import its
    `module:attribute`. Anything else is an object, under its module and repr; a second one that
    reads the same gets a number.
    """
    objects: dict[str, Packed] = {}
    known: dict[int, str] = {}
    names = []
    for each in given:
        known[id(each)] = known.get(id(each)) or _name(each, objects)
        names.append(known[id(each)])
    return Named(tuple(names), objects)


def name_model(given: GivenModel) -> Named:
    """The name of a model."""
    if isinstance(given, nn.Module):
        raise UsageError(
            "model: every trial starts with a model of its own, so give what builds one: a "
            "function of (input_shape, num_classes), as in "
            "model=lambda shape, classes: MyModel(classes)."
        )
    if isinstance(given, str) or (reference := reference_to(given)):
        return Named((given if isinstance(given, str) else str(reference),))
    # A loss may be called the same, as all lambdas are.
    name = f"{name_of_object(given)} (model)"
    return Named((name,), {name: pack(name, given)})


def _name(given: GivenLoss, objects: dict[str, Packed]) -> str:
    if isinstance(given, str):
        return given
    if name := _in_catalogue(given) or reference_to(given):
        return name
    name = name_of_object(given)
    numbered = next(n for n in _numbered(name) if n not in objects)
    objects[numbered] = pack(numbered, given)
    return numbered


def _numbered(name: str) -> Iterator[str]:
    return (name if number == 1 else f"{name} #{number}" for number in count(1))


def _in_catalogue(given: object) -> str | None:
    """The catalogue string that rebuilds a loss, or that names its class."""
    try:
        if isinstance(given, type) and issubclass(given, Loss):
            known = catalog.spec(given.__name__)
            return given.__name__ if known.module is given else None
        if isinstance(given, Loss) and repr(catalog.get(repr(given))) == repr(given):
            return repr(given) if type(catalog.get(repr(given))) is type(given) else None
    except (ValueError, TypeError, LookupError):
        return None
    return None
