"""Pen strokes of Chinese characters: the natural long tail of the KanjiVG project.

Ulrich Apel and contributors annotated every stroke of some 6 400 characters with its type. How
often a type occurs is a fact of the script, so the tail is real: from thousands of horizontal
strokes to types seen once.
"""

import re
from collections import Counter
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.cache import Arrays, cached
from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import missing
from taylored.lab.data.svg_path import cubics, sample_evenly

NAME = "kanjivg-strokes"
POINTS = 16
_FORMAT = 1  # raise whenever the numbers computed here change
_CANVAS = 109.0
# One file per character is named by its five-digit code point; a hyphen marks variant drawings of
# the same character, which would leak between the parts.
_BASE_FILE = re.compile(r"[0-9a-f]{5}\.svg")
_HAN = range(0x3400, 0xA000)  # CJK Unified Ideographs and Extension A; no kana, digits, radicals
# Plain text matching instead of an XML parser: a DTD in each file moves the attribute's namespace,
# and this is five times faster. Paths without a type (none in Han files so far) do not match.
_STROKE = re.compile(
    r'<path\b(?=[^>]*?\skvg:type="([^"]+)")(?=[^>]*?\sd="([^"]+)")',
)


def load_strokes(report: Callable[[str], None]) -> RawData:
    """All strokes with their type, from the cache or from the installed package.

    Features: 16 points at equal arc lengths, as x, y on the canvas scaled to -1 .. 1 (32 numbers)
    and the same points relative to their mean (32 numbers). Classes are the values of `kvg:type`
    taken literally, most frequent first.
    """
    package = _package()
    arrays = cached(
        f"{NAME}-{package.version}-format{_FORMAT}",
        ("features", "labels", "class_names"),
        lambda: _parse(package, report),
        _check,
        report,
    )
    return RawData(
        name=NAME,
        features=_typed(arrays, "features", np.float32),
        labels=_typed(arrays, "labels", np.int64),
        class_names=tuple(str(name) for name in arrays["class_names"]),
        kind="vector",
        source=f"Python package kanjivg {package.version}, https://kanjivg.tagaini.net",
        licence="CC BY-SA 3.0",
        description=(
            "Pen strokes of Chinese characters with their type; the imbalance is that of the "
            "script. 16 points along each stroke, absolute and centred (64 numbers)."
        ),
        citation="KanjiVG, copyright Ulrich Apel and contributors, CC BY-SA 3.0",
        notes=(
            "strokes of one character may fall into different parts; "
            "fewer than 1 % of the test strokes equal a training stroke exactly",
        ),
    )


def stroke_features(paths: list[str]) -> npt.NDArray[np.float32]:
    """The 64 numbers of each SVG path, shape (len(paths), 64)."""
    curves = [cubics(path) for path in paths]
    counts = np.array([len(stroke) for stroke in curves])
    points = np.empty((len(paths), POINTS, 2))
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        same = np.array([curves[row] for row in rows.tolist()], dtype=np.float64)
        points[rows] = sample_evenly(same, POINTS)
    half = _CANVAS / 2
    absolute = points / half - 1.0
    total = np.zeros_like(absolute[:, 0])
    for index in range(POINTS):  # a fixed order of summation, for the same bits everywhere
        total += absolute[:, index]
    centred = absolute - (total / POINTS)[:, None]
    both = np.concatenate([absolute, centred], axis=1)
    return both.reshape(len(paths), 4 * POINTS).astype(np.float32)


def _package() -> Distribution:
    try:
        return distribution("kanjivg")
    except PackageNotFoundError as error:
        raise missing("kanjivg", extra="lab", purpose=f"The built-in data {NAME!r}") from error


def _parse(package: Distribution, report: Callable[[str], None]) -> Arrays:
    folder = Path(str(package.locate_file("kanji")))
    files = sorted(folder.glob("*.svg")) if folder.is_dir() else []
    files = [file for file in files if _is_base(file.name)]
    if not files:
        raise DataError(
            f"the installed package kanjivg {package.version} holds no drawings in {folder}. "
            "Reinstall it with: pip install --force-reinstall kanjivg"
        )
    report(f"reading {len(files):,} drawings of kanjivg {package.version} (once, then cached)")
    strokes = [pair for file in files for pair in _STROKE.findall(file.read_text("utf-8"))]
    types = [kind for kind, _ in strokes]
    counts = Counter(types)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    number = {name: index for index, name in enumerate(names)}
    return {
        "features": stroke_features([path for _, path in strokes]),
        "labels": np.array([number[kind] for kind in types], dtype=np.int64),
        "class_names": np.array(names),
    }


def _is_base(name: str) -> bool:
    return _BASE_FILE.fullmatch(name) is not None and int(name[:5], 16) in _HAN


def _check(arrays: Arrays) -> None:
    """Refuse a cached file that is not what `_parse` returns."""
    features = _typed(arrays, "features", np.float32)
    labels = _typed(arrays, "labels", np.int64)
    names = arrays["class_names"]
    if features.shape != (len(labels), 4 * POINTS) or names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError("unexpected shapes")
    if not len(labels) or labels.min() < 0 or labels.max() >= len(names):
        raise ValueError("labels out of range")


def _typed(arrays: Arrays, key: str, dtype: type[Any]) -> npt.NDArray[Any]:
    array = arrays[key]
    if array.dtype != dtype:
        raise ValueError(f"{key} has dtype {array.dtype}")
    return array
