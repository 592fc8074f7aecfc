"""Objects that only the user's Python has: how they reach the process of a trial, and their names.

An object travels as a pickle by value, so that what a notebook defines comes along. It is unpickled
in the process of a trial and nowhere else, anew for every trial: none sees what another has left.
Pickles are handed from a process to its own workers. They are never kept in a file.
"""

import inspect
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import CodeType
from typing import Any

import cloudpickle
import torch
from torch import nn

from taylored.lab.errors import UsageError, described
from taylored.lab.own.importable import importable, shortest
from taylored.own import is_reference

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LONGEST = 160

_DOTTED = re.compile(r"[^\W\d]\w*\.\S")
"""A module's name, a dot, and what is in it."""


@dataclass(frozen=True)
class Packed:
    """An object on its way: its pickle, and a digest of what it is made of."""

    content: bytes
    digest: str


Objects = Mapping[str, Packed]
"""The objects of a run by name."""

_HELD: dict[str, Packed] = {}


def is_object(name: str) -> bool:
    """Whether a name is that of an object: with the module in front, and a dot.

    >>> is_object("__main__.MyLoss(gamma=1)"), is_object("focal(gamma=2)"), is_object("m:MyLoss")
    (True, False, False)
    >>> is_object("cross_entropy + 0.5 * focal"), is_object("0.5 * focal")
    (False, False)
    """
    dotted = _DOTTED.match(name) is not None and ":" not in name.partition("(")[0]
    return dotted and not is_reference(name)  # which may have a bracket in its folder


def hold(objects: Objects) -> None:
    """Keep the objects that this worker was handed; they are unpickled when a trial asks."""
    _HELD.update(objects)


def fresh(name: str) -> object:
    """A copy of an object, of its own for whoever asks."""
    packed = _HELD.get(name)
    if packed is None:
        raise UsageError(
            f"{name!r} is an object that only the Python which has it can train. Give the object "
            "itself, or name your own code as 'module:attribute'."
        )
    try:
        found: object = cloudpickle.loads(packed.content)
    except Exception as error:  # the user's class may do anything here
        raise UsageError(f"{name} cannot be copied for a trial: {described(error)}") from error
    return found


def digest_of(name: str) -> str | None:
    """The digest of an object that this process was handed."""
    packed = _HELD.get(name)
    return None if packed is None else packed.digest


def pack(name: str, given: object) -> Packed:
    """The object as it is handed to workers; a UsageError where it cannot be pickled."""
    module = inspect.getmodule(given if inspect.isroutine(given) else type(given))
    by_value = module is not None and module.__name__ != "__main__" and not importable(module)
    try:
        if by_value:  # a module that another process would not find
            cloudpickle.register_pickle_by_value(module)
        content = cloudpickle.dumps(given)
    except Exception as error:
        raise UsageError(
            f"{name} cannot be handed to the process of a trial: {described(error)}. Write it into "
            "a module and name it as 'module:attribute', or 'module:Class(argument=1)'."
        ) from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_by_value(module)
    return Packed(content, _digest(given))


def name_of_object(given: object) -> str:
    """Module and repr of an object, without memory addresses and on one line."""
    if inspect.isroutine(given) or isinstance(given, type):
        return f"{given.__module__}.{given.__qualname__}"
    kind = type(given)
    text = _repr(given)
    if text.startswith(f"<{kind.__module__}.{kind.__qualname__} object"):
        text = f"{kind.__qualname__}()"
    text = " ".join(_ADDRESS.sub("", text).split())
    where = shortest(kind)
    name = text if text.startswith(f"{where}.") else f"{where}.{text}"
    if not is_object(name):
        name = f"{where}.{kind.__qualname__}: {text}"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def _repr(given: object) -> str:
    try:
        return repr(given)
    except Exception:  # the user's __repr__
        return f"{type(given).__qualname__}()"


def _digest(given: object) -> str:
    """SHA-256 over source, repr and state, as far as they can be seen.

    The pickle itself would not do: it is another one in each session.
    """
    digest = sha256(name_of_object(given).encode("utf-8", "backslashreplace"))
    for part in (given, getattr(given, "func", None), type(given)):
        digest.update(_source(part))
    digest.update(_attributes(given))
    if isinstance(given, nn.Module):
        buffer = io.BytesIO()
        torch.save([(key, value) for key, value in given.state_dict().items()], buffer)
        digest.update(buffer.getvalue())
    return digest.hexdigest()


def _attributes(given: object) -> bytes:
    """The public attributes, which a repr need not show."""
    if isinstance(given, type) or not hasattr(given, "__dict__"):
        return b""
    public = sorted((key, _repr(value)) for key, value in vars(given).items() if key[:1] != "_")
    return _ADDRESS.sub("", repr(public)).encode("utf-8", "backslashreplace")


def _source(part: Any) -> bytes:
    try:
        text = inspect.getsource(part)
    except (OSError, TypeError):  # typed at a prompt, or written in C
        text = ""
    code = getattr(part, "__code__", None)
    if isinstance(code, CodeType):
        # The source of a lambda is its whole line, which may hold two of them.
        text += _ADDRESS.sub("", repr((code.co_code, code.co_names, code.co_consts)))
    return text.encode("utf-8", "backslashreplace")
