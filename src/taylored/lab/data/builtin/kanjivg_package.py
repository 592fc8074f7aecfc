"""The drawings of the KanjiVG project, as the installed package `kanjivg` brings them.

Ulrich Apel and contributors annotated every stroke of some 6 400 characters.
"""

import re
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from taylored.lab.data.builtin.cache import NamedArrays
from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import missing

CANVAS: Final = 109.0
LICENCE: Final = "CC BY-SA 3.0"
CITATION: Final = "KanjiVG, copyright Ulrich Apel and contributors, CC BY-SA 3.0"
# One file per character is named by its five-digit code point; a hyphen marks variant drawings of
# the same character, which would leak between the parts.
_BASE_FILE = re.compile(r"[0-9a-f]{5}\.svg")
_HAN = range(0x3400, 0xA000)  # CJK Unified Ideographs and Extension A; no kana, digits, radicals


def installed(name: str) -> Distribution:
    """The package, or the error for the built-in data `name` that need it."""
    try:
        return distribution("kanjivg")
    except PackageNotFoundError as error:
        raise missing("kanjivg", extra="lab", purpose=f"The built-in data {name!r}") from error


def source(package: Distribution) -> str:
    """Where the drawings come from, for the card."""
    return f"Python package kanjivg {package.version}, https://kanjivg.tagaini.net"


def drawings(package: Distribution, report: Callable[[str], None]) -> list[tuple[str, str]]:
    """Each character with the SVG text of its drawing, in the order of the code points."""
    folder = Path(str(package.locate_file("kanji")))
    files = sorted(folder.glob("*.svg")) if folder.is_dir() else []
    files = [file for file in files if _is_base(file.name)]
    if not files:
        raise DataError(
            f"the installed package kanjivg {package.version} holds no drawings in {folder}. "
            "Reinstall it with: pip install --force-reinstall kanjivg"
        )
    report(f"reading {len(files):,} drawings of kanjivg {package.version} (once, then cached)")
    return [(chr(int(file.name[:5], 16)), file.read_text("utf-8")) for file in files]


def typed(arrays: NamedArrays, key: str, dtype: type[Any]) -> npt.NDArray[Any]:
    """One of the arrays, or ValueError: a cached file may hold anything."""
    array = arrays[key]
    if array.dtype != dtype:
        raise ValueError(f"{key} has dtype {array.dtype}")
    return array


def _is_base(name: str) -> bool:
    return _BASE_FILE.fullmatch(name) is not None and int(name[:5], 16) in _HAN
