"""How the examined loss is made: anew for every check, and with other options where it has them."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from taylored.catalog.lookup import get
from taylored.catalog.parser import LossCall, SumCall, parse
from taylored.core.written import literal
from taylored.modules.base import Loss

LossFunction = Callable[[Tensor, Tensor], Tensor]
Options = Mapping[str, object]

NAMES = {
    "reduction": ("reduction",),
    "ignore_index": ("ignore_index",),
    "weight": ("weight", "class_weights", "class_weight"),
    "pos_weight": ("pos_weight",),
    "label_smoothing": ("label_smoothing", "smooth_factor", "smoothing"),
}
"""What the options that are tried are called, here and elsewhere."""


class UnavailableError(LookupError):
    """The loss has no such option."""


class Recipe(Protocol):
    """What makes a loss."""

    @property
    def name(self) -> str:
        """What the loss is shown by."""

    def build(self, options: Options) -> LossFunction:
        """The loss, fresh, with some options set.

        Raises:
            UnavailableError: where it has no such option.
        """

    def code(self, options: Options) -> str:
        """Python that binds the same to `loss`."""


@dataclass(frozen=True)
class Catalogued:
    """A string of the catalogue."""

    text: str
    classes: int

    @property
    def name(self) -> str:
        """The string."""
        return self.text

    def build(self, options: Options) -> LossFunction:
        """The loss of the string, and of counts that fall by about a third from class to class."""
        return get(self._with(options), **self._data())

    def code(self, options: Options) -> str:
        """A call of `taylored.get`."""
        data = self._data() if parse(self.text).needs() else {}
        told = "".join(f", {name}={value!r}" for name, value in data.items())
        return f"import taylored\nloss = taylored.get({self._with(options)!r}{told})"

    def _data(self) -> dict[str, Any]:
        return {"counts": falling(self.classes)}

    def _with(self, options: Options) -> str:
        call = parse(self.text)
        plain = {k: v.tolist() if isinstance(v, Tensor) else v for k, v in options.items()}
        if not plain:
            return self.text
        if isinstance(call, SumCall):
            parts = ((w, _set(part, plain)) for w, part in call.parts)
            return " + ".join(f"{literal(w)} * {part.text()}" for w, part in parts)
        return _set(call, plain).text()


def falling(classes: int) -> list[int]:
    """Counts of a long tail.

    >>> falling(5)
    [1000, 300, 90, 26, 8]
    """
    return [max(int(1000 * 0.3**k), 2) for k in range(classes)]


def _set(call: LossCall, options: Options) -> LossCall:
    """The call with each option set where it belongs: in the outermost loss that has it."""
    mine = {parameter.name for parameter in call.spec.accepted}
    inner = {name: value for name, value in options.items() if name not in mine}
    if inner and call.inner is None:
        raise UnavailableError(", ".join(inner))
    taken = {name: value for name, value in options.items() if name in mine}
    arguments = {**call.arguments, **taken}
    return replace(
        call, arguments=arguments, inner=_set(call.inner, inner) if call.inner else call.inner
    )


@dataclass(frozen=True)
class Given:
    """An object that the user has; it is copied for every check, where it can be."""

    loss: LossFunction
    name: str

    def build(self, options: Options) -> LossFunction:
        """A copy, with options as attributes of a module and as arguments of a function."""
        if not isinstance(self.loss, nn.Module):
            named = called(self.loss, options)
            return functools.partial(self.loss, **named) if named else self.loss
        try:
            built = copy.deepcopy(self.loss)
        except Exception:  # the user's module may refuse; it is then looked at as it is
            if options:
                raise UnavailableError(", ".join(options)) from None
            return self.loss
        for name, value in called(type(self.loss), options).items():
            if not hasattr(built, name):
                raise UnavailableError(name)
            setattr(built, name, value)
        return built

    def code(self, options: Options) -> str:
        """The import of a function; otherwise a line for the user, who alone has the object."""
        made = type(self.loss) if isinstance(self.loss, nn.Module) else self.loss
        named = called(made, options)
        told = ", ".join(f"{name}={written(value)}" for name, value in named.items())
        name = getattr(self.loss, "__qualname__", "")
        if inspect.isroutine(self.loss) and name.isidentifier() and _imported(self.loss, name):
            lines = f"from {self.loss.__module__} import {name}\n"
            if not told:
                return f"{lines}loss = {name}"
            return f"from functools import partial\n{lines}loss = partial({name}, {told})"
        return f"loss = ...  # {self.name}{', built with ' if told else ''}{told}"


def _imported(loss: LossFunction, name: str) -> bool:
    """Whether a module has the function under its name."""
    module = sys.modules.get(loss.__module__)
    return loss.__module__ != "__main__" and getattr(module, name, None) is loss


@dataclass(frozen=True)
class Following:
    """A recipe of modules whose own numbers have to have the dtype of the logits."""

    recipe: Recipe

    @property
    def name(self) -> str:
        """That of the recipe."""
        return self.recipe.name

    def build(self, options: Options) -> LossFunction:
        """The module, which takes the dtype of its logits in every call."""
        built = self.recipe.build(options)
        if isinstance(built, nn.Module):
            built.register_forward_pre_hook(_follow)
        return built

    def code(self, options: Options) -> str:
        """That of the recipe, in float64."""
        return f"{self.recipe.code(options)}\nloss = loss.double()"


def _follow(module: nn.Module, given: tuple[Tensor, Tensor]) -> None:
    module.to(given[0].dtype)


def given(loss: LossFunction) -> Recipe:
    """The recipe of an object: of the catalogue's losses their text."""
    if isinstance(loss, Loss):
        text = repr(loss)
        try:
            same = repr(get(text)) == text and not loss.state_dict()
        except ValueError:
            same = False
        if same:
            return Catalogued(text, 0)
    name = " ".join(repr(loss).split())
    if inspect.isroutine(loss):
        name = f"{loss.__module__}.{loss.__qualname__}"
    return Given(loss, name if len(name) <= 120 else f"{name[:117]}...")


def called(made: Callable[..., Any], options: Options) -> dict[str, object]:
    """The options under the names that a class or function has for them."""
    if not options:
        return {}
    try:
        known = inspect.signature(made).parameters
    except (TypeError, ValueError):
        raise UnavailableError(", ".join(options)) from None
    found = {}
    for name, value in options.items():
        here = next((each for each in NAMES.get(name, (name,)) if each in known), None)
        if here is None:
            raise UnavailableError(name)
        found[here] = value
    return found


def written(value: object) -> str:
    """A value as Python."""
    if isinstance(value, Tensor):
        dtype = "" if value.dtype == torch.float32 else f", dtype={value.dtype}"
        return f"torch.tensor({value.tolist()}{dtype})"
    return repr(value)
