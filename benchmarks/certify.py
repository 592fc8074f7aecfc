"""Whether exhaustive.py compared with the truth, and what float64 could not decide, by mpmath."""

from __future__ import annotations

import random
from typing import Any, Protocol

import mpmath
import numpy as np
from float32 import NOT_FINITE, numbers
from ulp import DOUBT, LEAST, Tally

SAMPLE = 16
"""Margins of every chunk from 2^-40 to 2^7, beside the places of the largest errors."""

FEW = 1
"""Of the chunks where functions are straight lines."""


class Subject(Protocol):
    """What was checked."""

    def certain(self, margin: float, target: int, output: str) -> Any:
        """The exact number, by mpmath."""

    def wide(self, margin: float, target: int, output: str) -> float:
        """The same in float64."""


def certified(subject: Subject, chunks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The largest relative error of the reference, and the number of doubts that were right."""
    luck = random.Random(0)  # noqa: S311 - a sample
    reference, right, doubts, asked = 0.0, {}, {}, 0
    for name, outputs in chunks.items():
        if int(name[1:]) == NOT_FINITE:
            continue
        count = SAMPLE if 87 <= int(name[1:]) < 134 else FEW
        drawn = numbers(name)[[luck.randrange(2**23) for _ in range(count)]].tolist()
        for output, seen in outputs.items():
            tally = Tally.of(seen)
            if not tally.points:
                continue
            worst = [each for each in (tally.worst_at, tally.below_at) if each is not None]
            sample = [(margin, luck.randrange(2)) for margin in drawn] + worst
            for margin, target in sample:
                reference = max(reference, _off(subject, margin, target, output))
                asked += 1
            judged = [_nearest(subject.certain(m, t, output), got) for m, t, got in tally.doubts]
            right[output] = right.get(output, 0) + sum(judged)
            doubts[output] = doubts.get(output, 0) + len(judged) + tally.many_doubts
    if reference > DOUBT:
        raise SystemExit(f"the float64 reference is off by {reference:.2g} of the exact number")
    return {"reference": reference, "asked": asked, "right": right, "doubts": doubts}


def _off(subject: Subject, margin: float, target: int, output: str) -> float:
    """The relative error of the float64 reference; below the normal numbers, relative to these."""
    exact = subject.certain(margin, target, output)
    found = subject.wide(margin, target, output)
    with mpmath.workdps(60):
        return float(abs(found - exact) / max(abs(exact), mpmath.mpf(LEAST) * 2**-24))


def _nearest(exact: Any, got: float) -> bool:
    """Whether no float32 is nearer to the exact number; of two, the even one."""
    one = np.float32(got)
    with mpmath.workdps(60):
        error = abs(mpmath.mpf(float(one)) - exact)
        for end in (np.inf, -np.inf):
            other = abs(mpmath.mpf(float(np.nextafter(one, np.float32(end)))) - exact)
            if other < error or (other == error and int(one.view(np.int32)) % 2):
                return False
    return True
