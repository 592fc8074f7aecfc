"""SVG paths of cubic curves, and points at equal distances along them."""

import re

import numpy as np
import numpy.typing as npt

from taylored.lab.data.errors import DataError

_COMMAND = re.compile(r"([A-DF-Za-df-z])([^A-DF-Za-df-z]*)")  # e and E belong to numbers
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ARGUMENTS = {"C": 6, "S": 4}
_STEPS = 32  # chords per curve: points within 0.001 of a curve's size of the true ones

Cubic = tuple[float, float, float, float, float, float, float, float]


def cubics(path: str) -> list[Cubic]:
    """The curves of one path as (x0, y0, x1, y1, x2, y2, x3, y3), in absolute coordinates.

    Knows one opening M or m, then C, c, S and s: all that brush-stroke data use.

    >>> cubics("M1,2c1,0,2,0,3,1")
    [(1.0, 2.0, 2.0, 2.0, 3.0, 2.0, 4.0, 3.0)]
    """
    commands = _COMMAND.findall(path)
    start = [float(number) for number in _NUMBER.findall(commands[0][1])] if commands else []
    if not commands or commands[0][0] not in "Mm" or len(start) != 2:
        raise DataError(f"an SVG path must open with 'M x,y', got {path[:60]!r}")
    x, y = start
    control_x, control_y = x, y
    curves: list[Cubic] = []
    for command, text in commands[1:]:
        size = _ARGUMENTS.get(command.upper(), 0)
        numbers = [float(number) for number in _NUMBER.findall(text)]
        if not size or not numbers or len(numbers) % size:
            raise DataError(
                f"cannot read {command + text!r} in the SVG path {path[:60]!r}: "
                "expected C or c with sixes of numbers, S or s with fours"
            )
        for first in range(0, len(numbers), size):
            values = numbers[first : first + size]
            if command.islower():
                values = [value + (y if odd % 2 else x) for odd, value in enumerate(values)]
            if size == 4:
                # S mirrors the last control point of the curve before.
                values = [2 * x - control_x, 2 * y - control_y, *values]
            x1, y1, control_x, control_y, x3, y3 = values
            curves.append((x, y, x1, y1, control_x, control_y, x3, y3))
            x, y = x3, y3
    if not curves:
        raise DataError(f"the SVG path {path[:60]!r} has no curve")
    return curves


def sample_evenly(curves: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.float64]:
    """`points` points at equal arc lengths on each path, both ends included.

    All paths have the same number of curves. Only elementwise IEEE arithmetic and running sums
    along one path are used (no BLAS, no `hypot`, no `np.interp`, which compilers may fuse). So a
    path gives the same bits on every machine, whatever paths are sampled beside it.

    Shape:
        curves (P, S, 8); returns (P, points, 2).
    """
    knots = _knots(curves)
    steps = knots[:, 1:] - knots[:, :-1]
    lengths = np.sqrt(steps[:, :, 0] * steps[:, :, 0] + steps[:, :, 1] * steps[:, :, 1])
    along = np.zeros(knots.shape[:2])
    np.cumsum(lengths, axis=1, out=along[:, 1:])
    row = np.arange(len(curves))
    sampled = np.empty((len(curves), points, 2))
    sampled[:, -1] = knots[:, -1]
    for index in range(points - 1):
        wanted = along[:, -1] * (index / (points - 1))
        passed = np.count_nonzero(along <= wanted[:, None], axis=1)
        chord = np.minimum(passed, lengths.shape[1]) - 1
        step = lengths[row, chord]
        rest = wanted - along[row, chord]
        share = np.divide(rest, step, out=np.zeros_like(rest), where=step > 0)
        sampled[:, index] = knots[row, chord] + share[:, None] * steps[row, chord]
    return sampled


def _knots(curves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The corners of `_STEPS` chords per curve, shape (P, S * _STEPS + 1, 2)."""
    t = np.arange(1, _STEPS + 1) / _STEPS
    u = 1.0 - t
    basis = (u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t)
    paths, count, _ = curves.shape
    knots = np.empty((paths, count * _STEPS + 1, 2))
    knots[:, 0] = curves[:, 0, :2]
    for axis in range(2):
        # Control by control: the order of the sum is part of the result.
        values = curves[:, :, axis, None] * basis[0]
        for control in range(1, 4):
            values = values + curves[:, :, 2 * control + axis, None] * basis[control]
        knots[:, 1:, axis] = values.reshape(paths, count * _STEPS)
    return knots
