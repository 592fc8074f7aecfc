"""Draw pen strokes as grey pixels, with the same bits on every machine.

No drawing library is used: its antialiasing would change between versions, and with it every number
of a run.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.builtin.svg_path import Cubic, sample_evenly

_FINE = 4  # each pixel counts the ink in 4 x 4 finer ones, which are black or white
BLACK: Final = _FINE * _FINE
_POINTS = 160  # along a stroke; on the finer grid the gaps stay below its width of three
_STROKES = 8192  # sampled at once, for the memory


def rasterise(
    strokes: Sequence[Sequence[Cubic]],
    images: npt.NDArray[np.int64],
    *,
    canvas: float,
    size: int,
) -> npt.NDArray[np.uint8]:
    """Draw each stroke into its image with a round pen about three finer pixels wide.

    Shape:
        strokes: the curves of each stroke, on a square of side `canvas`; images, as long: the
        number of the image it belongs to, 0 .. N-1. Returns (N, size, size), 0 .. `BLACK`.
    """
    fine = size * _FINE
    count = int(images.max()) + 1
    ink = np.zeros((count, fine, fine), dtype=np.bool_)
    lengths = np.array([len(stroke) for stroke in strokes])
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        for rows in np.split(same, range(_STROKES, len(same), _STROKES)):
            curves = np.array([strokes[row] for row in rows.tolist()], dtype=np.float64)
            points = sample_evenly(curves, _POINTS) * (fine / canvas)
            places = np.clip(np.floor(points), 0, fine - 1).astype(np.int64)
            ink[images[rows][:, None], places[:, :, 1], places[:, :, 0]] = True
    pixels = np.empty((count, size, size), dtype=np.uint8)
    for image in range(count):
        wide = _thickened(ink[image])
        blocks = wide.reshape(size, _FINE, size, _FINE)
        pixels[image] = blocks.sum(axis=(1, 3), dtype=np.uint8)
    return pixels


def _thickened(ink: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Every black pixel with its eight neighbours."""
    rows = ink.copy()
    rows[1:] |= ink[:-1]
    rows[:-1] |= ink[1:]
    wide = rows.copy()
    wide[:, 1:] |= rows[:, :-1]
    wide[:, :-1] |= rows[:, 1:]
    return wide
