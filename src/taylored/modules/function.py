"""The function of a loss: the same keywords, checks and documentation as its module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, cast, get_args, get_type_hints

from torch import Tensor

from taylored.modules.base import FunctionCall, Loss, parameters_of
from taylored.modules.docs import document
from taylored.modules.fields.arguments import refuse_keyword, refuse_position
from taylored.modules.fields.parameter import REQUIRED

_Given = ParamSpec("_Given")

_SINGLE = (float, int, type(None))
"""Types of values that speak of no number of classes."""

_CALL: dict[str, object] = {
    "sample_weight": Tensor | None,
    "normalizer": float | Tensor | None,
}
"""Keywords of a call, which belong to no module, and their types."""


def function_of(loss: type[Loss]) -> Callable[[Callable[_Given, Tensor]], Callable[_Given, Tensor]]:
    """Declare a function to be the functional form of a loss.

    The function takes what the module's forward takes by position, its own parameters by keyword
    with the module's defaults, and the shared ones as `**shared`. What a caller passes is checked
    as the module checks it, under the same names.
    """

    def declare(function: Callable[_Given, Tensor]) -> Callable[_Given, Tensor]:
        return _declared(function, loss)

    return declare


def _declared(function: Callable[_Given, Tensor], loss: type[Loss]) -> Callable[_Given, Tensor]:
    fields = parameters_of(loss)
    written = inspect.signature(function, eval_str=True)
    first = [p for p in written.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    _agree(written, loss)
    names = tuple(p.name for p in first)
    allowed = frozenset([*fields, *_CALL, *names])
    name, most = function.__name__, len(first)
    run = cast(Callable[..., Tensor], function)

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Tensor:
        if len(args) > most:
            refuse_position(name, fields, names, args[most:])
        own: dict[str, Any] = {}
        lists = False
        if given:
            if not given.keys() <= allowed:
                unknown = next(keyword for keyword in given if keyword not in allowed)
                refuse_keyword(name, unknown, [*fields, *_CALL])
            for keyword, value in given.items():
                field = fields.get(keyword)
                if field is not None:
                    if field.per_class and type(value) not in _SINGLE:
                        value = given[keyword] = field.arranged(value)
                        lists = True
                    field.check(value)
                    own[keyword] = value
        return loss.enter(FunctionCall(run, names, args, given, own, lists))

    call.__signature__ = _signature(first, loss)  # type: ignore[attr-defined]
    head, mark, example = inspect.cleandoc(function.__doc__ or "").partition("\n\nExample:\n")
    call.__doc__ = f"{head}\n\nThe functional form of `{loss.__name__}`.{mark}{example}"
    own_fields = {k: v for k, v in fields.items() if not v.by_position}
    document(call, own_fields, loss.described())
    return call


def _agree(written: inspect.Signature, loss: type[Loss]) -> None:
    """Refuse, at import, a function whose keywords or defaults are not those of the module."""
    fields = {k: v for k, v in parameters_of(loss).items() if not v.by_position}
    own, shared = {}, set[str]()
    for name, parameter in written.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            own[name] = parameter.default
        elif parameter.kind is parameter.VAR_KEYWORD:
            (call,) = get_args(parameter.annotation)  # Unpack[...Call]
            shared = get_type_hints(call).keys() - _CALL.keys()
    if own.keys() | shared != fields.keys():
        raise TypeError(f"the function of {loss.__name__} must take {', '.join(fields)}")
    for name, default in own.items():
        expected = fields[name].default
        if default != (inspect.Parameter.empty if expected is REQUIRED else expected):
            raise TypeError(f"`{name}` of the function of {loss.__name__}: default {expected!r}")


def _signature(first: list[inspect.Parameter], loss: type[Loss]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    declared = [
        parameter
        for parameter in inspect.signature(loss).parameters.values()
        if parameter.kind is keyword
    ]
    call = [
        inspect.Parameter(name, keyword, default=None, annotation=annotation)
        for name, annotation in _CALL.items()
    ]
    return inspect.Signature([*first, *declared, *call], return_annotation=Tensor)
