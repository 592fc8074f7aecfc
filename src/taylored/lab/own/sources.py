"""Fingerprints of the user's code: the files of the project that a loss or model is made of."""

import sys
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

from taylored.own import Reference, is_installed, is_reference

Sources = Mapping[str, str]
"""SHA-256 of a file by the name of the module that it is, so that a project may be moved."""


def project_sources(known: Collection[str], references: Collection[str]) -> dict[str, str]:
    """The files of all modules that were imported after those in `known`.

    Installed packages are left out, since their versions stand for them; the modules of the
    `references` and their packages count wherever they are.
    """
    packages = {_module_of(text).split(".")[0] for text in references}
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in known or not isinstance(file, str):
            continue
        path = Path(file)
        if name.split(".")[0] in packages or not is_installed(path):
            found[name] = _digest(path)
    return found


def changed(then: Sources, now: Sources) -> list[str]:
    """Modules that both have, with other content."""
    return sorted(name for name in then.keys() & now.keys() if then[name] != now[name])


def _module_of(name: str) -> str:
    """The module of a reference, or of an object."""
    return Reference.read(name).module if is_reference(name) else name.split(":")[0]


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:  # a module inside an archive, or one whose file is gone
        return "no source file"
