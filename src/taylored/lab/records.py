"""Frozen dataclasses as JSON, and back with every key and type checked.

A record is a frozen dataclass whose fields hold numbers, text, None, tuples, mappings with text as
keys, and other records. In JSON a record is an object with one key for each field.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def to_json(value: object) -> Any:
    """The value as dictionaries, lists, text, numbers and None.

    >>> from taylored.lab.results import GainCurve
    >>> to_json(GainCurve(p=(0.1, 0.9), g=(1.0, 1.0)))
    {'p': [0.1, 0.9], 'g': [1.0, 1.0]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[Record], value: object, where: str = "the content") -> Record:
    """The record that `to_json` wrote; `where` names it in the message of a ValueError.

    >>> from taylored.lab.results import GainCurve
    >>> from_json(GainCurve, {"p": [0.1, "x"], "g": [1.0, 1.0]})
    Traceback (most recent call last):
    ValueError: the content.p[1] must be float, got 'x'
    """
    return cast(Record, _decode(kind, value, where))


def _decode(kind: Any, value: object, where: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _decode_record(kind, value, where)
    if origin is Literal:
        fits = isinstance(value, str) and value in arguments
    elif origin in (Union, UnionType):
        return _decode_union(arguments, value, where, kind)
    elif origin is tuple and isinstance(value, list):
        return _decode_tuple(arguments, value, where)
    elif origin is Mapping and isinstance(value, dict):
        return {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif kind is float:  # JSON writes whole numbers without a point
        fits = type(value) in (float, int)
    else:
        fits = kind in (int, str, bool, type(None)) and type(value) is kind
    if not fits:
        raise ValueError(f"{where} must be {getattr(kind, '__name__', kind)}, got {value!r:.60}")
    return value


def _decode_record(kind: Any, value: object, where: str) -> object:
    types = _types(kind)
    given = set(value) if isinstance(value, dict) else set()
    if not isinstance(value, dict) or given != set(types):
        missing, unknown = sorted(set(types) - given), sorted(map(str, given - set(types)))
        raise ValueError(
            f"{where} must have the keys of {kind.__name__}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    return kind(**{key: _decode(types[key], value[key], f"{where}.{key}") for key in types})


def _decode_union(kinds: tuple[Any, ...], value: object, where: str, union: Any) -> object:
    if value is None and type(None) in kinds:
        return None
    errors = []
    for kind in kinds:
        try:
            return _decode(kind, value, where)
        except ValueError as error:
            errors.append(error)
    # With one kind besides None its own message says more than "must be one of these".
    others = [error for kind, error in zip(kinds, errors, strict=True) if kind is not type(None)]
    if len(others) == 1:
        raise others[0]
    raise ValueError(f"{where} must be {union}, got {value!r:.60}")


def _decode_tuple(kinds: tuple[Any, ...], value: list[object], where: str) -> tuple[object, ...]:
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise ValueError(f"{where} must hold {len(kinds)} values, got {len(value)}")
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_decode(kind, item, f"{where}[{index}]") for index, (kind, item) in pairs)


@cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
