"""The user's own loss: a function, a module, or a class or function that builds one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from taylored.lab.errors import UsageError, described
from taylored.lab.own.reference import FAILURES, load_reference
from taylored.lab.trial.links import LossFunction


def build_own_loss(name: str, counts: Sequence[int]) -> LossFunction:
    """The loss behind `module:attribute`, which is the loss itself or builds it.

    Every trial has a process of its own, so that a loss, and whatever its module remembers, is
    fresh without a copy; some modules cannot be copied.
    """
    found = load_reference(name)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise UsageError(
            f"loss {name!r} is a {type(found).__name__}. Name a function (logits, target) -> "
            "scalar, an nn.Module, or a class or function that returns one."
        )
    arguments = _factory_arguments(name, found, counts)
    if arguments is None:
        return found
    try:
        built = found(**arguments)
    except FAILURES as error:
        raise UsageError(f"loss {name!r}: {described(error)}") from error
    if not callable(built):
        raise UsageError(
            f"loss {name!r} was called as a factory and returned a {type(built).__name__}; "
            "it must return a loss that can be called with (logits, target)."
        )
    result: LossFunction = built
    return result


def _factory_arguments(
    name: str, found: Callable[..., Any], counts: Sequence[int]
) -> dict[str, list[int]] | None:
    """The arguments that `found` builds a loss with, or None if it is the loss itself.

    A class builds a loss, and so does a function that needs no argument but `counts`.
    """
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # some builtin functions have no signature
        return None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    required = {p.name for p in parameters if p.default is p.empty and p.kind not in variadic}
    is_class = isinstance(found, type)
    if required <= {"counts"} and (is_class or not takes_any):
        names = {p.name for p in parameters}
        return {"counts": list(counts)} if "counts" in names else {}
    if is_class:
        missing = ", ".join(sorted(required - {"counts"}))
        raise UsageError(
            f"loss {name!r}: the class needs the arguments {missing}. Write a function without "
            f"arguments that returns {found.__name__}(...), and name that."
        )
    return None
