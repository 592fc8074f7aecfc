"""The parts of a docstring that follow from a loss's fields and SPEC, written once for all."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from taylored.modules.fields.field import Field

RAISES = (
    "ValueError: for a parameter out of its domain, or shapes that do not fit.\n"
    "TypeError: for a keyword that the loss does not have, and a parameter without its keyword."
)
_WIDTH = 96
_LISTS = ("Args", "Raises", "Differs from")


class Described(NamedTuple):
    """What a base says about a call of its losses: shapes, the result, the errors."""

    shape: str
    returns: str
    raises: str


def document(target: Any, fields: Mapping[str, Field], call: Described) -> None:
    """Put Args, Shape, Returns and Raises, in this order, before the example of a docstring.

    A section that the author has written stays as it is.
    """
    text = inspect.cleandoc(target.__doc__ or "")
    if not text or not fields:
        return
    before, mark, after = text.partition("\nExample:\n")
    sections = {
        "Args": "\n".join(_argument(field) for field in fields.values()),
        "Shape": call.shape,
        "Returns": call.returns,
        "Raises": call.raises,
    }
    blocks = []
    for name, body in sections.items():
        written = re.search(rf"^{name}:(\n+ {{4}}.*)+", before, re.MULTILINE)
        if written is not None:
            before = before.replace(written.group(), "").replace("\n\n\n", "\n")
            blocks.append(written.group())
        elif f"\n{name}:\n" not in after:
            blocks.append(_section(name, body))
    target.__doc__ = "\n\n".join([before.rstrip(), *blocks]) + "\n" + mark + after


def append(target: Any, name: str, body: str) -> None:
    """Put a section at the end of a docstring."""
    if target.__doc__ and body:
        target.__doc__ = f"{target.__doc__.rstrip()}\n\n{_section(name, body)}\n"


def _section(name: str, body: str) -> str:
    """A section of a docstring, wrapped; where it is a list, each item hangs."""
    hanging = "        " if name in _LISTS else "    "
    return "\n".join([f"{name}:", *(_wrapped(item, hanging) for item in body.split("\n"))])


@functools.cache  # a class and its function say the same
def _wrapped(text: str, hanging: str) -> str:
    """Indented lines of words. The textwrap module would take a tenth of the import's time."""
    first, *words = text.split()
    lines = [f"    {first}"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append(hanging + word)
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


def _argument(field: Field) -> str:
    effect = field.about.effect
    return f"{field.name}: {field.domain}. {effect[:1].upper()}{effect[1:]}."
