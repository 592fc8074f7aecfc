"""Fingerprints of the user's code: the files of the project that a loss or model is made of."""

import site
import sys
import sysconfig
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

Sources = Mapping[str, str]
"""SHA-256 of a file by the name of the module that it is, so that a project may be moved."""


def project_sources(known: Collection[str], references: Collection[str]) -> dict[str, str]:
    """The files of all modules that were imported after those in `known`.

    Installed packages are left out, since their versions stand for them; the modules of the
    `references` and their packages count wherever they are.
    """
    packages = {text.split(":")[0].split(".")[0] for text in references}
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in known or not isinstance(file, str):
            continue
        path = Path(file)
        if name.split(".")[0] in packages or not _installed(path):
            found[name] = _digest(path)
    return found


def changed(then: Sources, now: Sources) -> list[str]:
    """Modules that both have, with other content."""
    return sorted(name for name in then.keys() & now.keys() if then[name] != now[name])


def _installed(path: Path) -> bool:
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    return any(path.is_relative_to(place) for place in places if place)


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:  # a module inside an archive, or one whose file is gone
        return "no source file"
