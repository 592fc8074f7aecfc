"""The user's own loss: a function, a module, or a class or function that builds one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from taylored.lab.errors import UsageError, described
from taylored.lab.own.code import given_arguments, load_own
from taylored.lab.own.reference import FAILURES, Arguments
from taylored.lab.trial.links import LossFunction


def build_own_loss(name: str, counts: Sequence[int]) -> LossFunction:
    """The loss behind a name of the user's, which is the loss itself or builds it.

    Every trial has a process of its own, so that a loss, and whatever its module remembers, is
    fresh without a copy; some modules cannot be copied.
    """
    found = load_own(name)
    given = given_arguments(name)
    if isinstance(found, nn.Module) and given is None:
        return found
    if not callable(found):
        raise UsageError(
            f"loss {name!r} is a {type(found).__name__}. Name a function (logits, target) -> "
            "scalar, an nn.Module, or a class or function that returns one."
        )
    arguments = (
        _factory_arguments(name, found, counts)
        if given is None
        else _with_counts(found, given, counts)
    )
    if arguments is None:
        return found
    try:
        built = found(*arguments.positional, **arguments.named)
    except FAILURES as error:
        raise UsageError(f"loss {name!r}: {described(error)}") from error
    if not callable(built):
        raise UsageError(
            f"loss {name!r} was called as a factory and returned a {type(built).__name__}; "
            "it must return a loss that can be called with (logits, target)."
        )
    result: LossFunction = built
    return result


def _with_counts(found: Callable[..., Any], given: Arguments, counts: Sequence[int]) -> Arguments:
    """The given arguments, and `counts` where it is asked for and was not given."""
    try:
        bound = inspect.signature(found).bind_partial(*given.positional, **given.named)
    except (TypeError, ValueError):  # the call itself says what is wrong
        return given
    if "counts" in bound.arguments or "counts" not in bound.signature.parameters:
        return given
    return Arguments(given.positional, {**given.named, "counts": list(counts)})


def _factory_arguments(
    name: str, found: Callable[..., Any], counts: Sequence[int]
) -> Arguments | None:
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
        return Arguments((), {"counts": list(counts)} if "counts" in names else {})
    if is_class:
        missing = ", ".join(sorted(required - {"counts"}))
        raise UsageError(
            f"loss {name!r}: the class needs the arguments {missing}. Give them, as in "
            f"'{name.partition('(')[0]}({missing.split(',')[0]}=1)'."
        )
    return None
