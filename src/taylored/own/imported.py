"""From a reference to the object: the module of that name, or exactly the file that was named."""

from __future__ import annotations

import importlib
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from taylored.own.failures import FAILURES, OwnCodeError, described
from taylored.own.reference import Reference

_BROUGHT: dict[str, Path] = {}
"""The folder from which a reference has brought each module, by the module's name.

Another folder may have a module of the same name. Python keeps the first; here the folder that is
asked for counts, so that nobody is shown the findings of another loss.
"""


def found_of(reference: Reference) -> object:
    """The object that a reference names.

    Raises:
        OwnCodeError: where there is none.
    """
    found: object = _module_of(reference)
    for part in reference.attribute.split("."):
        if part not in dir(found):
            known = [name for name in dir(found) if name[:1] != "_"]
            close = [repr(name) for name in get_close_matches(part, known, n=3)]
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise OwnCodeError(
                f"{reference.text}: {reference.source!r} has no {reference.attribute!r}.{hint}"
            )
        found = getattr(found, part)
    return found


def is_installed(file: Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    return any(file.is_relative_to(place) for place in places if place)


def _module_of(reference: Reference) -> ModuleType:
    text, file = reference.text, reference.file
    try:
        return _by_name(reference) if file is None else _by_file(reference, file)
    except OwnCodeError:
        raise
    except FAILURES as error:
        hint = ""
        if file is not None and "relative import" in str(error):
            hint = " It belongs to a package. Fix: write 'package.module:Loss', in its folder."
        raise OwnCodeError(
            f"{text}: importing {reference.source!r} failed: {described(error)}{hint}"
        ) from error


def _by_name(reference: Reference) -> ModuleType:
    here = Path.cwd()
    try:
        with _found_first(here, afterwards="last"), _of_this_folder(here):
            return importlib.import_module(reference.module)
    except ModuleNotFoundError as error:
        top = reference.module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != top:
            raise
        raise OwnCodeError(
            f"{reference.text}: no module named {error.name!r} in {here} or among the installed "
            f"packages. Run the command in the folder of {top}.py, or write its path: "
            f"path/{top}.py:{reference.attribute}."
        ) from error


def _by_file(reference: Reference, file: Path) -> ModuleType:
    """The module of a file, in the place of any other of that name.

    It is one of `sys.modules`, because pickles name a class by its module: so copies of a process
    can read them.
    """
    name = file.stem
    if not file.is_file():
        raise OwnCodeError(f"{reference.text}: there is no file {file}")
    known = sys.modules.get(name)
    if known is not None and _is_from(known, file):
        return known
    if name in sys.stdlib_module_names or (known is not None and not _replaceable(known)):
        raise OwnCodeError(
            f"{reference.text}: as {name!r} it would replace a module of Python or of an installed "
            "package. Fix: give the file another name"
        )
    with _found_first(file.parent, afterwards="as before"), _of_this_folder(file.parent, name):
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it ends in .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return sys.modules[name]


def _is_from(module: ModuleType, file: Path) -> bool:
    given = getattr(module, "__file__", None)
    return isinstance(given, str) and Path(given).is_file() and file.samefile(given)


def _replaceable(module: ModuleType) -> bool:
    given = getattr(module, "__file__", None)
    if module.__name__ == "__main__" or hasattr(module, "__path__") or not isinstance(given, str):
        return False
    return not is_installed(Path(given))


@contextmanager
def _found_first(folder: Path, *, afterwards: str) -> Iterator[None]:
    """Let the modules of a folder win over installed ones of the same name, while importing.

    The current folder is "last" afterwards, so that functions may import from it later, and no
    file in it replaces what a library imports later. The search path is "as before" where a file
    was named, which may be anywhere.
    """
    place = str(folder)
    importlib.invalidate_caches()  # a file may have been written a moment ago
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:  # the module may have changed the path itself
            sys.path.remove(place)
        if afterwards == "last" and place not in sys.path:
            sys.path.append(place)


@contextmanager
def _of_this_folder(folder: Path, *replaced: str) -> Iterator[None]:
    """Set aside what was brought from other folders and is in this one too; put back on failure."""
    elsewhere = {name.split(".")[0] for name, where in _BROUGHT.items() if where != folder}
    gone = {name for name in elsewhere if _has(folder, name)} | {*replaced}
    aside = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in gone
    }
    before = set(sys.modules)
    try:
        yield
    except BaseException:
        for name in gone:
            sys.modules.pop(name, None)
        sys.modules.update(aside)
        raise
    finally:
        for name in set(sys.modules) - before:
            if sys.modules[name] is not aside.get(name) and _has(folder, name.split(".")[0]):
                _BROUGHT[name] = folder


def _has(folder: Path, module: str) -> bool:
    return (folder / f"{module}.py").is_file() or (folder / module).is_dir()
