"""What a caller passed to a loss, brought to its fields; what fits none is refused by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from taylored.modules.fields.field import Field
from taylored.modules.fields.parameter import REQUIRED


def bound(
    owner: str, fields: Mapping[str, Field], given: tuple[Any, ...], named: Mapping[str, Any]
) -> dict[str, Any]:
    """The value of every field: given by position, by keyword, or its default."""
    first = [name for name, field in fields.items() if field.by_position]
    if len(given) > len(first):
        kept = [_short(value) for value in given[: len(first)]]
        refuse_position(owner, fields, kept, given[len(first) :])
    values = dict(zip(first, given, strict=False))
    for name, value in named.items():
        if name not in fields:
            refuse_keyword(owner, name, fields)
        if name in values:
            raise TypeError(f"{owner} is given `{name}` twice, by position and by keyword")
        values[name] = value
    for name, field in fields.items():
        if name not in values and field.default is REQUIRED:
            raise TypeError(f"{owner} needs `{name}`: {field.about.effect}")
    return {name: values.get(name, field.default) for name, field in fields.items()}


def refuse_keyword(owner: str, name: str, known: Iterable[str]) -> NoReturn:
    """Refuse a keyword that a loss does not have, and name the one that was probably meant."""
    raise TypeError(
        f"{owner} has no parameter `{name}`.{nearest(name, known)} It takes: {', '.join(known)}"
    )


def refuse_position(
    owner: str, fields: Mapping[str, Field], first: Iterable[str], extra: tuple[Any, ...]
) -> NoReturn:
    """Refuse parameters without a keyword, and name the keywords that were probably meant."""
    named = [field for field in fields.values() if not field.by_position]
    named.sort(key=lambda field: field.default is not REQUIRED)
    meant = list(first)
    for value in extra:
        field = next((field for field in named if _takes(field, value)), None)
        if field is not None:
            named.remove(field)
            meant.append(f"{field.name}={_short(value)}")
    raise TypeError(
        f"{owner} takes its parameters by keyword, got {', '.join(map(_short, extra))} by "
        f"position. Did you mean {owner}({', '.join(meant)})?"
    )


def _takes(field: Field, value: object) -> bool:
    try:
        field.check(value)
    except ValueError:
        return False
    return True


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the most similar name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def class_signature(fields: Mapping[str, Field]) -> inspect.Signature:
    """The signature of the constructor, as help() and documentation tools show it."""
    kinds = inspect.Parameter
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                kinds.POSITIONAL_OR_KEYWORD if field.by_position else kinds.KEYWORD_ONLY,
                default=kinds.empty if field.default is REQUIRED else field.default,
                annotation=field.annotation,
            )
            for name, field in fields.items()
        ]
    )
