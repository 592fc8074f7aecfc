"""Pen strokes of Chinese characters: the natural long tail of the KanjiVG project.

Every stroke of some 6 400 characters has a type. How often a type occurs is a fact of the script,
so the tail is real: from thousands of horizontal strokes to types seen once.
"""

import re
from collections import Counter
from collections.abc import Callable
from importlib.metadata import Distribution

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.builtin import kanjivg_package as package
from taylored.lab.data.builtin.cache import NamedArrays, cached
from taylored.lab.data.builtin.svg_path import cubics, sample_evenly

NAME = "kanjivg-strokes"
POINTS = 16
_FORMAT = 1  # raise whenever the numbers computed here change
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
    found = package.installed(NAME)
    arrays = cached(
        f"{NAME}-{found.version}-format{_FORMAT}",
        ("features", "labels", "class_names"),
        lambda: _parse(found, report),
        _check,
        report,
    )
    return RawData(
        name=NAME,
        features=package.typed(arrays, "features", np.float32),
        labels=package.typed(arrays, "labels", np.int64),
        class_names=tuple(str(name) for name in arrays["class_names"]),
        kind="vector",
        source=package.source(found),
        licence=package.LICENCE,
        description=(
            "Pen strokes of Chinese characters with their type; the imbalance is that of the "
            "script. 16 points along each stroke, absolute and centred (64 numbers)."
        ),
        citation=package.CITATION,
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
    half = package.CANVAS / 2
    absolute = points / half - 1.0
    total = np.zeros_like(absolute[:, 0])
    for index in range(POINTS):  # a fixed order of summation, for the same bits everywhere
        total += absolute[:, index]
    centred = absolute - (total / POINTS)[:, None]
    both = np.concatenate([absolute, centred], axis=1)
    return both.reshape(len(paths), 4 * POINTS).astype(np.float32)


def _parse(found: Distribution, report: Callable[[str], None]) -> NamedArrays:
    drawn = package.drawings(found, report)
    strokes = [pair for _, text in drawn for pair in _STROKE.findall(text)]
    types = [kind for kind, _ in strokes]
    counts = Counter(types)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    number = {name: index for index, name in enumerate(names)}
    return {
        "features": stroke_features([path for _, path in strokes]),
        "labels": np.array([number[kind] for kind in types], dtype=np.int64),
        "class_names": np.array(names),
    }


def _check(arrays: NamedArrays) -> None:
    """Refuse a cached file that is not what `_parse` returns."""
    features = package.typed(arrays, "features", np.float32)
    labels = package.typed(arrays, "labels", np.int64)
    names = arrays["class_names"]
    if features.shape != (len(labels), 4 * POINTS) or names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError("unexpected shapes")
    if not len(labels) or labels.min() < 0 or labels.max() >= len(names):
        raise ValueError("labels out of range")
