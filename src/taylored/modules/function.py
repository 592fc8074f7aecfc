"""The function of a loss: the same keywords, checks and documentation as its module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, cast, get_args, get_type_hints

from torch import Tensor

from taylored.core.inputs.given import read_weight, usual
from taylored.core.inputs.logits import Logits
from taylored.modules.arguments import refuse_keyword, refuse_position
from taylored.modules.class_axis import at_home, check_lengths, class_count, lengths
from taylored.modules.docs import document
from taylored.modules.module import Loss, link_of, parameters_of
from taylored.modules.parameter import REQUIRED

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
    allowed = frozenset([*fields, *_CALL, *(p.name for p in first)])
    name, most = function.__name__, len(first)
    names = [p.name for p in first]
    moving = (*names[1:], "sample_weight")
    run = cast(Callable[..., Tensor], function)

    def read(args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
        """Run the function on what was given by position and keyword, brought to its forms."""
        if len(args) > 1 and usual(args[0], args[1], loss._home) and "sample_weight" not in given:
            return run(*args, **given)
        named = {**dict(zip(names, args, strict=False)), **given}
        input = named.get("input")
        if isinstance(input, Logits) and "target" in named:
            named["target"] = loss.read_target(input, named["target"], _link(given, loss))
            if named.get("sample_weight") is not None:
                shape = input.shape[loss._home - 1 :]
                named["sample_weight"] = read_weight(named["sample_weight"], shape)
        return run(**named)

    def checked(args: tuple[Any, ...], given: dict[str, Any], own: Mapping[str, Any]) -> Tensor:
        input = args[0] if args else given.get("input")
        if input is not None:  # else Python says that it is missing
            _check_lengths(input, own, loss)
        return read(args, given)

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Tensor:
        if len(args) > most:
            refuse_position(name, fields, names, args[most:])
        if given:
            if not given.keys() <= allowed:
                unknown = next(keyword for keyword in given if keyword not in allowed)
                refuse_keyword(name, unknown, [*fields, *_CALL])
            own, lists = {}, False
            for keyword, value in given.items():
                field = fields.get(keyword)
                if field is not None:
                    if field.per_class and type(value) not in _SINGLE:
                        value = given[keyword] = field.arranged(value)
                        lists = True
                    field.check(value)
                    own[keyword] = value
            class_dim = given.get("class_dim", loss._home)
            if class_dim != loss._home:
                named = {**dict(zip(names, args, strict=False)), **given}
                beside = [keyword for keyword in moving if keyword in named]

                def inside(input: Logits, *moved: Tensor) -> Tensor:
                    there = {"input": input, **dict(zip(beside, moved, strict=True))}
                    return checked((), {**named, **there}, own)

                if "input" in named:  # else Python says that it is missing
                    tensors = [named[keyword] for keyword in beside]
                    return at_home(inside, class_dim, loss._home, named["input"], *tensors)
            if lists:
                return checked(args, given, own)
        return read(args, given)

    call.__signature__ = _signature(first, loss)  # type: ignore[attr-defined]
    head, mark, example = inspect.cleandoc(function.__doc__ or "").partition("\n\nExample:\n")
    call.__doc__ = f"{head}\n\nThe functional form of `{loss.__name__}`.{mark}{example}"
    document(call, {k: v for k, v in fields.items() if not v.by_position}, link_of(loss))
    return call


def _check_lengths(input: Logits, given: Mapping[str, Any], loss: type[Loss]) -> None:
    """Refuse per-class values that do not fit the input."""
    fields = parameters_of(loss)
    found = lengths(fields, given)
    if found:
        check_lengths(found, class_count(input, _link(given, loss), loss._home))


def _link(given: Mapping[str, Any], loss: type[Loss]) -> str:
    """The link that a call asks for."""
    fields = parameters_of(loss)
    default = fields["link"].default if "link" in fields else link_of(loss)
    return str(given.get("link", default))


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
