"""Finding and loading the native library that fits this processor, or saying why there is none."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

ABI = 5
"""Version of the interface that `abi.py` and `overlap.py` pack for; `cpp/sweep.h` has the same."""

LEVELS = ("avx512", "avx2", "baseline")
"""Instruction sets, best first."""

_FOLDER = Path(__file__).parent
_REBUILD = "install a C++ compiler (g++ or clang++) and reinstall taylored"


@dataclass(frozen=True, eq=False)
class Library:
    """The entry points of a loaded library.

    Attributes:
        level: the instruction set it was built for.
        sweep: runs a packed `Sweep`; 0 means done, 2 that a truth is outside [0, 1].
        kept: how many class indices are not ignored, -1 if there is no column for one.
        rows: masks, weights and divides class indices; float32 coefficients.
        rows_double: the same in float64.
        overlap: runs a packed `Overlap`; 0 means done.
    """

    level: str
    sweep: Callable[..., int]
    kept: Callable[..., int]
    rows: Callable[..., None]
    rows_double: Callable[..., None]
    overlap: Callable[..., int]


@dataclass(frozen=True)
class Absent:
    """Why no library serves, and what would change that."""

    reason: str
    fix: str


def find(folder: Path = _FOLDER) -> Library | Absent:
    """The best library that this processor runs."""
    refused = []
    for level in _runnable():
        path = folder / f"_native_{level}.so"
        if not path.exists():
            continue
        found = _load(path, level)
        if isinstance(found, Library):
            return found
        refused.append(found)
    if refused:
        return Absent("; ".join(refused), "reinstall taylored, which builds them again")
    return _not_built(folder)


def _runnable() -> tuple[str, ...]:
    """Levels that this processor runs, best first, as torch sees it (ATEN_CPU_CAPABILITY)."""
    capability = torch.backends.cpu.get_cpu_capability().lower()
    return LEVELS[LEVELS.index(capability) :] if capability in LEVELS else LEVELS[-1:]


def _load(path: Path, level: str) -> Library | str:
    """The library, or why it is refused."""
    try:
        library = ctypes.CDLL(str(path))
        number = int(library.taylored_abi())
        if number != ABI:
            return f"{path.name} has interface {number}, and this version needs {ABI}"
        return _declared(library, level)
    except (OSError, AttributeError) as error:  # no library; a library without our functions
        return f"{path.name} does not load ({error})"


def _declared(library: ctypes.CDLL, level: str) -> Library:
    """The entry points with the types of their arguments."""
    sweep, kept = library.taylored_sweep, library.taylored_kept
    rows, rows_double = library.taylored_rows, library.taylored_rows_f64
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    sweep.argtypes, sweep.restype = [ctypes.c_char_p], ctypes.c_int
    kept.argtypes, kept.restype = [pointer, *[number] * 4], number
    for function in (rows, rows_double):
        function.argtypes = [pointer, *[number] * 4, pointer, number, pointer, pointer]
        function.restype = None
    overlap = library.taylored_overlap
    overlap.argtypes, overlap.restype = [ctypes.c_char_p], ctypes.c_int
    return Library(level, sweep, kept, rows, rows_double, overlap)


@dataclass(frozen=True)
class BuildNote:
    """What the installation left behind: its compiler, and why a library is missing."""

    compiler: str | None
    reason: str | None


def build_note(folder: Path = _FOLDER) -> BuildNote:
    """The note, or an empty one."""
    path = folder / "_build.json"
    return BuildNote(**json.loads(path.read_text())) if path.exists() else BuildNote(None, None)


def _not_built(folder: Path) -> Absent:
    note = build_note(folder)
    if note.reason is not None:
        return Absent(f"not built: {note.reason} when the package was installed", _REBUILD)
    return Absent("not built: there is no library beside the package", _REBUILD)
