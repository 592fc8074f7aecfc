"""The repr of a loss: the Python call that rebuilds it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from taylored.core.written import literal
from taylored.modules.fields.field import Field
from taylored.modules.fields.parameter import REQUIRED

_ALWAYS_SHOWN = (int, float, tuple, Tensor)


def written(loss: nn.Module, fields: Mapping[str, Field]) -> str:
    """Own numbers always; what the engine has an option for, and words, where not the default.

    What is given by position comes first; what has no literal is written by its own repr.
    """
    shown = []
    for name, field in fields.items():
        value = getattr(loss, name)
        if field.about.local:
            continue
        if field.by_position:
            if field.default is REQUIRED or repr(value) != repr(field.kept(field.default)):
                shown.append(repr(value))
            continue
        plain = not isinstance(value, Tensor) and value == field.default
        optional = field.about.shared or field.about.slot
        if not plain or (not optional and isinstance(value, _ALWAYS_SHOWN)):
            shown.append(f"{name}={literal(value)}")
    return f"{type(loss).__name__}({', '.join(shown)})"
