"""A loss of somebody's own code: the object that is named, or what it builds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from taylored.own.failures import OwnCodeError
from taylored.own.imported import found_of
from taylored.own.reference import Arguments, Reference

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class OwnLoss:
    """A loss that is somebody's own, or a class or function that builds one.

    Args:
        name: what errors call it.
        found: the object.
        arguments: those that its name gives; None without brackets.

    """

    name: str
    found: Callable[..., Any]
    arguments: Arguments | None

    @classmethod
    def of(cls, name: str, found: object, arguments: Arguments | None) -> OwnLoss:
        """What an object is good for.

        Raises:
            OwnCodeError: for what cannot be called.
        """
        if not callable(found) or isinstance(found, Tensor):
            raise OwnCodeError(
                f"loss {name!r} is a {type(found).__name__}. Name a function (logits, target) -> "
                "scalar, an nn.Module, or a class or function that returns one."
            )
        if isinstance(found, nn.Module) and arguments is not None:
            raise OwnCodeError(
                f"loss {name!r} is a loss already, which takes no arguments. Leave the brackets "
                "out."
            )
        return cls(name, found, arguments)

    @property
    def takes_counts(self) -> bool:
        """Whether it asks for the samples per class, and the reference does not give them."""
        try:
            bound = inspect.signature(self.found).bind_partial(*self.positional, **self.named)
        except (TypeError, ValueError):  # the call itself says what is wrong
            return False
        return "counts" in bound.signature.parameters and "counts" not in bound.arguments

    @property
    def builds(self) -> bool:
        """Whether it is called to give the loss, and is not the loss itself.

        A class builds a loss, and so does a function that needs no argument but `counts`.
        """
        if isinstance(self.found, type):
            return True
        if isinstance(self.found, nn.Module):
            return False
        try:
            bound = inspect.signature(self.found).bind_partial(*self.positional, **self.named)
        except (TypeError, ValueError):  # some builtin functions have no signature
            return self.arguments is not None
        parameters = bound.signature.parameters
        if self.arguments is None and any(
            each.kind is each.VAR_POSITIONAL for each in parameters.values()
        ):
            return False
        return not any(
            name != "counts" and name not in bound.arguments and _needed(parameter)
            for name, parameter in parameters.items()
        )

    def build(
        self, counts: Sequence[float] | None = None, options: Mapping[str, object] | None = None
    ) -> LossFunction:
        """The loss with its arguments, further options, and `counts` where it asks for them.

        Raises:
            OwnCodeError: where the class needs more, or what is built cannot be called.
        """
        named = {**self.named, **(options or {})}
        if counts is not None and self.takes_counts:
            named["counts"] = list(counts)
        if not self.builds:
            if not named and not self.positional:
                return self.found
            return functools.partial(self.found, *self.positional, **named)
        if self.arguments is None and isinstance(self.found, type):
            self._refuse_missing(named)
        built = self.found(*self.positional, **named)
        if not callable(built):
            raise OwnCodeError(
                f"loss {self.name!r} was called as a factory and returned a "
                f"{type(built).__name__}; it must return a loss that can be called with "
                "(logits, target)."
            )
        return built  # type: ignore[no-any-return]

    def _refuse_missing(self, named: Mapping[str, object]) -> None:
        try:
            parameters = inspect.signature(self.found).parameters.values()
        except (TypeError, ValueError):
            return
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        missing = sorted(
            each.name
            for each in parameters
            if each.default is each.empty and each.kind not in kinds and each.name not in named
        )
        if missing:
            before = self.name.partition("(")[0]
            raise OwnCodeError(
                f"loss {self.name!r}: the class needs the arguments "
                f"{', '.join(missing)}. Give them, as in '{before}({missing[0]}=1)'."
            )

    @property
    def positional(self) -> tuple[Any, ...]:
        """The arguments without a name."""
        return () if self.arguments is None else self.arguments.positional

    @property
    def named(self) -> dict[str, Any]:
        """The others."""
        return {} if self.arguments is None else dict(self.arguments.named)


def own_loss(text: str) -> OwnLoss:
    """The loss that a text names, imported.

    Raises:
        OwnCodeError: for a name that leads to nothing which can be called.
    """
    reference = Reference.read(text)
    arguments = reference.arguments()
    return OwnLoss.of(text, found_of(reference), arguments)


def _needed(parameter: inspect.Parameter) -> bool:
    kinds = (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind in kinds
