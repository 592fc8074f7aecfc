"""The Python that does the same as a command line."""

import inspect
from collections.abc import Callable, Mapping


def call(function: Callable[..., object], settings: Mapping[str, object], room: str = "lab") -> str:
    """Source text of a call to a function of a room, without arguments left at default.

    >>> def compare(losses=None, data="strokes", *, seed=0): ...
    >>> print(call(compare, {"losses": ["focal"], "data": "strokes", "seed": 3}))
    from taylored import lab
    result = lab.compare(['focal'], seed=3)
    """
    parameters = inspect.signature(function).parameters
    arguments = []
    positional = True
    for name, parameter in parameters.items():
        if name not in settings or settings[name] == parameter.default:
            positional = False
            continue
        by_position = positional and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        arguments.append(repr(settings[name]) if by_position else f"{name}={settings[name]!r}")
    name = function.__name__
    return f"from taylored import {room}\nresult = {room}.{name}({', '.join(arguments)})"
