"""Curves against an independent dense sampler, and points at equal distances."""

import re
from itertools import pairwise

import numpy as np
import pytest

from taylored.lab.data import DataError
from taylored.lab.data.builtin.svg_path import cubics, sample_evenly


def sample(path: str, points: int) -> np.ndarray:
    curves = cubics(path)
    return sample_evenly(np.array([curves]), points)[0]


def dense(path: str, steps: int = 3000) -> np.ndarray:
    """The path by de Casteljau's construction with complex numbers: another way to the same."""
    pieces = re.findall(r"([MmCcSs])([^MmCcSs]+)", path)
    trace: list[complex] = []
    pen = handle = 0j
    for command, text in pieces:
        values = [float(v) for v in re.findall(r"-?\d*\.?\d+", text)]
        given = [complex(x, y) for x, y in zip(values[::2], values[1::2], strict=True)]
        if command in "Mm":
            pen = handle = given[0]
            trace.append(pen)
            continue
        size = 3 if command in "Cc" else 2
        for start in range(0, len(given), size):
            base = pen if command in "cs" else 0j
            hull = [base + value for value in given[start : start + size]]
            if size == 2:
                hull = [2 * pen - handle, *hull]
            hull = [pen, *hull]
            for t in np.linspace(0, 1, steps)[1:]:
                level = hull
                while len(level) > 1:
                    level = [a + (b - a) * t for a, b in pairwise(level)]
                trace.append(level[0])
            pen, handle = hull[3], hull[2]
    return np.array(trace)


REAL = [  # strokes of U+4E8C, U+5B57 and U+9F3B as KanjiVG draws them, and two with S and s
    "M25.25,32.4c1.77,0.37,4.78,0.56,6.55,0.37c10.82-1.15,28.82-3.4,41.24-3.76c2.95-0.09,4.73,0.18,6.21,0.36",
    "M52.99,11.25c1.07,1.06,1.68,2.62,1.68,4.46c0,2.31-0.01,5.79-0.01,8.28",
    "M10,10c5-5 10,5 20,0s10-20 30,5",
    "M10,10C20,0,30,40,40,10S60,0,70,30",
    "M1,1c1,0,2,0,3,0,1,0,2,2,3,3",
]


@pytest.mark.parametrize("path", REAL)
def test_points_are_at_equal_arc_length(path: str) -> None:
    trace = dense(path)
    along = np.concatenate([[0], np.cumsum(np.abs(np.diff(trace)))])
    wanted = np.linspace(0, along[-1], 16)
    expected = np.interp(wanted, along, trace.real) + 1j * np.interp(wanted, along, trace.imag)
    found = sample(path, 16) @ np.array([1, 1j])
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_both_ends_are_exact() -> None:
    found = sample("M1,2c3,4,5,6,7,8", 5)
    assert found[0].tolist() == [1, 2]
    assert found[-1].tolist() == [8, 10]


def test_quarter_circle_gives_equal_angles() -> None:
    kappa = 4 / 3 * (2**0.5 - 1)
    found = sample(f"M1,0C1,{kappa},{kappa},1,0,1", 7)
    angles = np.degrees(np.arctan2(found[:, 1], found[:, 0]))
    np.testing.assert_allclose(angles, np.arange(7) * 15, atol=0.05)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("M0,0C0,1,1,1,1,0S2,-1,2,0", "M0,0C0,1,1,1,1,0C1,-1,2,-1,2,0"),
        ("M0,0C0,1,1,1,1,0s1,-1,1,0", "M0,0C0,1,1,1,1,0C1,-1,2,-1,2,0"),
        ("M0,0S1,1,2,0", "M0,0C0,0,1,1,2,0"),
        ("m3,4c1,1,2,2,3,3", "M3,4C4,5,5,6,6,7"),
        ("M0 0c.5.5 1-1e-1 2,2", "M0,0C0.5,0.5,1,-0.1,2,2"),
        ("M0,0c1,1,2,2,3,3,1,1,2,2,3,3", "M0,0C1,1,2,2,3,3C4,4,5,5,6,6"),
    ],
)
def test_shorthands_equal_their_long_forms(short: str, long: str) -> None:
    np.testing.assert_allclose(cubics(short), cubics(long), rtol=0, atol=1e-15)


def test_path_gets_the_same_bits_in_every_company() -> None:
    curves = np.random.default_rng(0).uniform(0, 109, size=(50, 3, 8))
    curves[:, 1:, :2] = curves[:, :-1, 6:]
    batch = sample_evenly(curves, 16)
    for path, found in zip(curves, batch, strict=True):
        assert np.array_equal(found, sample_evenly(path[None], 16)[0])


def test_path_of_no_length_stays_in_place() -> None:
    curves = np.array([cubics("M5,5c0,0,0,0,0,0"), cubics("M0,0c1,0,2,0,3,0")])
    found = sample_evenly(curves, 4)
    assert found[0].tolist() == [[5, 5]] * 4
    np.testing.assert_allclose(found[1], [[0, 0], [1, 0], [2, 0], [3, 0]], atol=1e-12)


@pytest.mark.parametrize(
    "path", ["", "C1,2,3,4,5,6", "M1,2", "M1,2L3,4", "M1,2c1,2,3", "M1,2c", "M1,2M3,4", "M1c1,1"]
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(DataError, match="SVG path"):
        cubics(path)
