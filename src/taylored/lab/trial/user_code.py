"""Import `module:attribute` of the user, and hash its source so that resume notices a change."""

import importlib
import re
import sys
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from taylored.lab.errors import UsageError

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_reference(text: str) -> bool:
    """Whether a string has the form `module:attribute`.

    >>> is_reference("my_losses:tversky"), is_reference("focal(gamma=2)")
    (True, False)
    """
    return _REFERENCE.fullmatch(text) is not None


def load_reference(text: str) -> object:
    """The object named by `module:attribute`; modules in the current directory are found."""
    module_name, attribute = text.split(":")
    found: object = _import(text, module_name)
    for part in attribute.split("."):
        if part not in dir(found):
            close = get_close_matches(part, dir(found), n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise UsageError(f"{text}: module {module_name!r} has no {attribute!r}.{hint}")
        found = getattr(found, part)
    return found


def source_hash(text: str) -> str:
    """SHA-256 of the source file behind `module:attribute`."""
    module_name = text.split(":")[0]
    file = _import(text, module_name).__file__
    return sha256(Path(file).read_bytes()).hexdigest() if file else "no source file"


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
    except Exception as error:  # the user's module may raise anything
        kind = type(error).__name__
        raise UsageError(f"{text}: importing {module_name!r} failed: {kind}: {error}") from error
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)
