"""Find `module:attribute` of the user, with or without arguments."""

import ast
import importlib
import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from taylored.lab.errors import UsageError, described

_REFERENCE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)\s*(\(.*\))?", re.DOTALL)

FAILURES = (Exception, SystemExit)
"""What the user's code may raise; a module that calls `sys.exit` must not end the comparison."""


@dataclass(frozen=True)
class Arguments:
    """What stands in the brackets of `module:attribute(...)`."""

    positional: tuple[object, ...]
    named: dict[str, object]


def is_reference(text: str) -> bool:
    """Whether a string has the form `module:attribute`, arguments in brackets included.

    >>> is_reference("my_losses:tversky"), is_reference("focal(gamma=2)")
    (True, False)
    >>> is_reference("my_losses:Tversky(alpha=0.3)")
    True
    """
    return _REFERENCE.fullmatch(text) is not None


def load_reference(text: str) -> object:
    """The object named by `module:attribute`; modules in the current directory are found."""
    module_name, attribute, _ = _parts(text)
    found: object = _import(text, module_name)
    for part in attribute.split("."):
        if part not in dir(found):
            close = get_close_matches(part, dir(found), n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise UsageError(f"{text}: module {module_name!r} has no {attribute!r}.{hint}")
        found = getattr(found, part)
    return found


def arguments_of(text: str) -> Arguments | None:
    """The arguments of a reference, which are literals and are never evaluated; None without any.

    >>> arguments_of("my_losses:Tversky(0.3, classes=['a', 'b'])")
    Arguments(positional=(0.3,), named={'classes': ['a', 'b']})
    """
    call = _parts(text)[2]
    if call is None:
        return None
    try:
        parsed = ast.parse(f"f{call}", mode="eval").body
        if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name):
            raise ValueError("it is no call")
        positional = tuple(map(_literal, parsed.args))
        named = {str(each.arg): _literal(each.value) for each in parsed.keywords if each.arg}
        if len(named) < len(parsed.keywords):
            raise ValueError("** is no literal")
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise UsageError(
            f"{text}: the arguments must be literals, as in "
            f"my_losses:MyLoss(gamma=1, names=['a', 'b']): {error}. "
            "In Python, give the object itself."
        ) from error
    return Arguments(positional, named)


def _literal(node: ast.expr) -> object:
    try:
        found: object = ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(f"{ast.unparse(node)} is none") from error
    return found


def _parts(text: str) -> tuple[str, str, str | None]:
    match = _REFERENCE.fullmatch(text)
    assert match is not None  # noqa: S101 - asked for references only
    return match[1], match[2], match[3]


def _import(text: str, module_name: str) -> ModuleType:
    here = str(Path.cwd())
    # The folder is first while importing, so that the user's file wins over an installed module of
    # that name. It is last afterwards, so that no file in it replaces what a library imports later.
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.split(".")[0] == error.name.split(".")[0]:
            raise UsageError(
                f"{text}: no module named {error.name!r} in {here} or among the installed "
                f"packages. Run the command in the folder of {module_name.split('.')[0]}.py."
            ) from error
        raise UsageError(f"{text}: importing {module_name!r} failed: {error}") from error
    except FAILURES as error:
        raise UsageError(f"{text}: importing {module_name!r} failed: {described(error)}") from error
    finally:
        if here in sys.path:  # the module may have changed the path itself
            sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)
