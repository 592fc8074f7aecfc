"""Drawings of Chinese characters in which every pixel knows the type of the stroke that made it.

From KanjiVG (Ulrich Apel and contributors, CC BY-SA 3.0), as packaged in `kanjivg`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from taylored.lab.data.builtin import kanjivg_package
from taylored.lab.data.builtin.svg_path import cubics, sample_evenly

IGNORED = -100
"""The target of pixels that count nowhere: the default `ignore_index` of every loss."""

Kanji = Sequence[tuple[str, str]]
"""One character: the coarse type and the SVG path of each stroke."""

_WIDTH = 3.0  # of a stroke, on the canvas: the width in KanjiVG's own style sheet
_POINTS = 128  # along a stroke: less than a pixel apart for the longest strokes at 64 x 64
_CHUNK = 128  # characters drawn at once
_HALF_COVERED = 0.5
_ENOUGH = 0.01  # of the characters must hold a type: a quarter of them still tests it

_STROKE = re.compile(r'<path\b(?=[^>]*?\skvg:type="([^"]+)")(?=[^>]*?\sd="([^"]+)")')


@dataclass(frozen=True)
class Drawings:
    """What the network sees and what it should say.

    `images` is (N, 1, size, size), 0 for paper and 1 for ink. `targets` is (N, size, size): the
    type of the stroke, or `IGNORED`. Paper is ignored, not a class of its own: the input gives it
    away, so it would only add seven easy pixels to every hard one, and an IoU near 1 to the mean.
    Ignored as well: pixels where strokes of different types meet, and types in `left_out`.
    """

    images: Tensor
    targets: Tensor
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def read_kanji() -> list[Kanji]:
    """All characters of the installed package, in the order of their code points.

    The coarse type is the first sign of an annotation: "㇆a" and "㇆/㇚" are variants of "㇆".
    """
    package = kanjivg_package.installed("kanjivg")
    drawings = kanjivg_package.drawings(package, lambda _: None)
    return [[(kind[0], path) for kind, path in _STROKE.findall(text)] for _, text in drawings]


def draw(kanji: Sequence[Kanji], size: int) -> Drawings:
    """Draw the characters with a round, smooth pen on `size` x `size` pixels.

    From a size of 40 on the pen is wider than a pixel and leaves no gaps in the targets.
    """
    kept, left_out = _vocabulary(kanji)
    drawn = [
        _draw_chunk(kanji[first : first + _CHUNK], kept, size)
        for first in range(0, len(kanji), _CHUNK)
    ]
    return Drawings(
        images=torch.from_numpy(np.concatenate([images for images, _ in drawn])),
        targets=torch.from_numpy(np.concatenate([targets for _, targets in drawn])),
        names=tuple(map(_name, kept)),
        left_out=tuple(map(_name, left_out)),
    )


def _vocabulary(kanji: Sequence[Kanji]) -> tuple[list[str], list[str]]:
    """The types to keep, most frequent first, and those in too few characters to be tested."""
    holding = Counter(kind for strokes in kanji for kind in {kind for kind, _ in strokes})
    order = sorted(holding, key=lambda kind: (-holding[kind], kind))
    fewest = _ENOUGH * len(kanji)
    return (
        [kind for kind in order if holding[kind] >= fewest],
        [kind for kind in order if holding[kind] < fewest],
    )


def _name(kind: str) -> str:
    """The sign and Unicode's letters for it: "㇆ HZG" is horizontal, turn, hook."""
    return f"{kind} {unicodedata.name(kind, kind).removeprefix('CJK STROKE ')}"


def _draw_chunk(
    kanji: Sequence[Kanji], kept: Sequence[str], size: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Images (n, 1, size, size) and targets (n, size, size)."""
    number = {kind: index for index, kind in enumerate(kept)}
    # One layer of ink for each type of each character; the last is for the types left out.
    ink = np.zeros((len(kanji), len(kept) + 1, size * size), dtype=np.float32)
    layers = [
        row * ink.shape[1] + number.get(kind, len(kept))
        for row, strokes in enumerate(kanji)
        for kind, _ in strokes
    ]
    points = _points([path for strokes in kanji for _, path in strokes]) * (
        size / kanjivg_package.CANVAS
    )
    _stamp(ink.reshape(-1), np.array(layers), points, size)
    covered = ink >= _HALF_COVERED
    targets = covered.argmax(axis=1).astype(np.int64)
    targets[(covered.sum(axis=1) != 1) | (targets == len(kept))] = IGNORED
    shape = (len(kanji), size, size)
    return ink.max(axis=1).reshape(len(kanji), 1, size, size), targets.reshape(shape)


def _points(paths: Sequence[str]) -> npt.NDArray[np.float64]:
    """`_POINTS` points along each path, shape (paths, points, 2), on the canvas."""
    curves = [cubics(path) for path in paths]
    counts = np.array([len(stroke) for stroke in curves])
    points = np.empty((len(paths), _POINTS, 2))
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        same = np.array([curves[row] for row in rows.tolist()], dtype=np.float64)
        points[rows] = sample_evenly(same, _POINTS)
    return points


def _stamp(
    ink: npt.NDArray[np.float32],
    layers: npt.NDArray[np.int64],
    points: npt.NDArray[np.float64],
    size: int,
) -> None:
    """Press the pen on its layer at every point; a pixel keeps the darkest of the prints.

    The ink falls from 1 to 0 over one pixel around the edge of the pen, so it is about the share
    of the pixel that the pen covers.
    """
    radius = _WIDTH / 2 * size / kanjivg_package.CANVAS
    reach = int(np.ceil(radius))
    corner = np.floor(points).astype(np.int64)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            column, row = corner[..., 0] + right, corner[..., 1] + down
            distance = np.hypot(column + 0.5 - points[..., 0], row + 0.5 - points[..., 1])
            print_ = np.clip(radius + 0.5 - distance, 0.0, 1.0).astype(np.float32)
            seen = (print_ > 0) & (column >= 0) & (column < size) & (row >= 0) & (row < size)
            place = (layers[:, None] * size + row) * size + column
            np.maximum.at(ink, place[seen], print_[seen])
