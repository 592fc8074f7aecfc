"""Errors of float32 results in units in the last place, added up over any number of pieces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

LEAST = 2.0**-126
"""The smallest normal float32."""

DOUBT = 2.0**-48
"""What a float64 reference may be off by: exact.py stays below it, which mpmath certifies."""

MOST_DOUBTS = 64


@dataclass
class Tally:
    """What was seen of one output, a value or a gradient.

    Attributes:
        points: how many results.
        rounded: how many of them are the float32 nearest to the exact result.
        doubts: where that is too close to call in float64: (margin, target, result).
        many_doubts: how many of these there were beyond `MOST_DOUBTS` in a piece.
        worst: the largest error in units in the last place of the exact result, which is normal.
        worst_at: the margin and the target of it.
        below: the largest error where the exact result is not normal, in units of 2^-126.
        below_at: the margin and the target of it.
        astray: results that are NaN or infinite and should not be, or should be and are not.
        astray_at: the margin and the target of one of them.
    """

    points: int = 0
    rounded: int = 0
    doubts: list[tuple[float, int, float]] = field(default_factory=list)
    many_doubts: int = 0
    worst: float = 0.0
    worst_at: tuple[float, int] | None = None
    below: float = 0.0
    below_at: tuple[float, int] | None = None
    astray: int = 0
    astray_at: tuple[float, int] | None = None

    def add(self, got: Tensor, exact: Tensor, margins: Tensor, target: int) -> None:
        """Take in results; the exact ones are finite float64 numbers."""
        up, down = (got == (exact * (1.0 + sign * DOUBT)).float() for sign in (1, -1))
        self.points += got.numel()
        rounded = int((up & down).sum())
        self.rounded += rounded
        if rounded == got.numel():
            return
        self._doubt(got, margins, target, up ^ down)
        self._errors(got, exact, margins, target)

    def count(self, points: int) -> None:
        """Take in results that are all rounded as they should be."""
        self.points += points
        self.rounded += points

    def _doubt(self, got: Tensor, margins: Tensor, target: int, doubtful: Tensor) -> None:
        if not doubtful.any():
            return
        found = doubtful.nonzero().squeeze(1)
        for i in found[:MOST_DOUBTS].tolist():
            self.doubts.append((float(margins[i]), target, float(got[i])))
        self.many_doubts += max(0, len(found) - MOST_DOUBTS)

    def _errors(self, got: Tensor, exact: Tensor, margins: Tensor, target: int) -> None:
        error = (got - exact).abs_()
        if not error.sum().isfinite():
            strange = ~error.isfinite()
            self.astray += int(strange.sum())
            self.astray_at = (float(margins[strange][0]), target)
            error = error.masked_fill(strange, 0.0)
        size = exact.abs()
        # The power of two below the exact result: its mantissa bits are cleared.
        power = (size.view(torch.int64) & 0x7FF0000000000000).view(torch.float64)
        units = error / power.clamp_min_(LEAST)
        if size.min() < LEAST:
            small = torch.where(size < LEAST, units, 0.0)
            units = torch.where(size < LEAST, 0.0, units)
            i = int(small.argmax())
            if small[i] > self.below:
                self.below, self.below_at = float(small[i]), (float(margins[i]), target)
        i = int(units.argmax())
        if units[i] * 2.0**23 > self.worst:
            self.worst, self.worst_at = float(units[i]) * 2.0**23, (float(margins[i]), target)

    def expect(self, got: Tensor, expected: Tensor, margins: Tensor, target: int) -> None:
        """Take in results that have to be equal, NaN included."""
        equal = (got == expected) | (got.isnan() & expected.isnan())
        self.points += got.numel()
        self.rounded += int(equal.sum())
        if not equal.all():
            self.astray += int((~equal).sum())
            self.astray_at = (float(margins[~equal][0]), target)

    def mirrored(self) -> None:
        """Count everything once more: the other target gave the same bits."""
        self.points *= 2
        self.rounded *= 2
        self.doubts += [(margin, 1 - target, got) for margin, target, got in self.doubts]
        self.many_doubts *= 2
        self.astray *= 2

    def merge(self, other: Tally) -> None:
        """Take in what another piece saw."""
        self.points += other.points
        self.rounded += other.rounded
        self.doubts += other.doubts
        self.many_doubts += other.many_doubts
        self.astray += other.astray
        self.astray_at = self.astray_at or other.astray_at
        if other.worst > self.worst:
            self.worst, self.worst_at = other.worst, other.worst_at
        if other.below > self.below:
            self.below, self.below_at = other.below, other.below_at

    @classmethod
    def of(cls, seen: dict[str, Any]) -> Tally:
        """From what was written as JSON."""
        pairs = {key: seen[key] and tuple(seen[key]) for key in seen if key.endswith("_at")}
        return cls(**{**seen, **pairs, "doubts": [tuple(each) for each in seen["doubts"]]})
