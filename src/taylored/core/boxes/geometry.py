"""Two boxes: the offset between them and their sides, and the lengths that follow.

Lengths are (D, ...): the axes of space come first, so that every operation runs over memory that
lies together. They are worked out from differences of coordinates, never from the coordinates
themselves, and measured in a unit of the pair's own size. So boxes far from the origin, and boxes
of any size, have the digits of their differences, and no area overflows or underflows.

Nothing is added to a denominator to keep it from being 0. Where a ratio is 0 to 0, what it means
decides: `ratio` makes it 0, and two boxes without area have an IoU of 1 if they are the same.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]


def constant(values: Tensor) -> Tensor:
    """A factor that no gradient passes through."""
    return values.detach()


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """A part over the whole; 0, without a gradient, where the whole is 0."""
    return part / whole.masked_fill(whole <= 0, math.inf)


def measure(sides: Tensor) -> Tensor:
    """The area, or volume, of boxes with these sides."""
    return functools.reduce(operator.mul, sides.unbind(0))


def unit_of(lengths: Tensor) -> Tensor:
    """A unit for lengths (D, ...) >= 0, near the longest of them; a constant for autograd.

    It is a power of two: lengths keep all their digits, and those that were equal stay equal.
    """
    longest = lengths.detach().amax(0)
    # What is shorter is measured in a unit whose reciprocal, squared, still fits into the dtype.
    longest = longest.clamp_min(torch.finfo(lengths.dtype).tiny ** 0.8)
    return longest / torch.frexp(longest).mantissa


def lengths_only(sides: Tensor) -> Tensor:
    """Sides, with 0 for negative ones; one of 0 keeps its derivative, so that it can grow."""
    return torch.where(sides < 0, 0.0, sides)


def axes_first(boxes: Tensor) -> Tensor:
    """The numbers of a box on the first axis, each in one piece."""
    return boxes.movedim(-1, 0).contiguous()


def lengths_of(boxes: Tensor, target: Tensor, format: BoxFormat) -> tuple[Tensor, Tensor, Tensor]:
    """The offset from the centre of the target to that of the prediction, and the sides of both."""
    first, second = axes_first(boxes).chunk(2)
    start, stop = axes_first(target).chunk(2)
    if format == "xyxy":
        return ((first - start) + (second - stop)) / 2, second - first, stop - start
    if format == "xywh":
        return (first - start) + (second - stop) / 2, second, stop
    return first - start, second, stop


class Derived:
    """A property that is worked out once. That of functools locks, which torch.compile refuses."""

    def __init__(self, compute: Callable[[Any], Tensor]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, pair: None, owner: type) -> Derived: ...
    @overload
    def __get__(self, pair: object, owner: type) -> Tensor: ...
    def __get__(self, pair: object | None, owner: type) -> Derived | Tensor:
        if pair is None:
            return self
        found = pair.__dict__[self.name] = self.compute(pair)
        return found


@dataclass(frozen=True)
class Pair:
    """A predicted box and its target, of any number of axes.

    A side of negative length, of a box whose second corner lies before the first, counts as a side
    of length 0 at its middle.

    Attributes:
        offset: from the centre of the target to the centre of the prediction.
        size: sides of the predicted box.
        target_size: sides of the target.
        unit: what the lengths are measured in, (...).
    """

    offset: Tensor
    size: Tensor
    target_size: Tensor
    unit: Tensor

    @classmethod
    def of(cls, boxes: Tensor, target: Tensor, format: BoxFormat) -> Pair:
        """The pair of boxes that are written in a format."""
        return cls.measured(*lengths_of(boxes, target, format))

    @classmethod
    def measured(cls, offset: Tensor, size: Tensor, target_size: Tensor) -> Pair:
        """The pair of boxes with these lengths, in a unit of their own."""
        size, target_size = lengths_only(size), lengths_only(target_size)
        unit = unit_of(offset.detach().abs() + size.detach() + target_size.detach())
        scale = 1.0 / unit
        return Pair(offset * scale, size * scale, target_size * scale, unit)

    def resized(self, factor: float) -> Pair:
        """The boxes with the same centres, and sides this much as long."""
        return Pair(self.offset, self.size * factor, self.target_size * factor, self.unit)

    @Derived
    def _both(self) -> Tensor:
        """Both sides, end to end."""
        return self.size + self.target_size

    @Derived
    def _common(self) -> Tensor:
        """What both sides have in common; below 0 it is the gap between them."""
        shorter = torch.minimum(self.size, self.target_size)
        return torch.minimum(shorter, self._both / 2 - self.offset.abs())

    @Derived
    def overlap(self) -> Tensor:
        """Sides of the intersection."""
        return self._common.clamp_min(0.0)

    @Derived
    def hull(self) -> Tensor:
        """Sides of the smallest box that encloses both."""
        return self._both - self._common

    @Derived
    def intersection(self) -> Tensor:
        """Area that both have."""
        return measure(self.overlap)

    @Derived
    def union(self) -> Tensor:
        """Area that either has."""
        return measure(self.size) + measure(self.target_size) - self.intersection

    @Derived
    def same(self) -> Tensor:
        """Whether the two are one box."""
        return ((self.offset == 0) & (self.size == self.target_size)).all(0)

    @Derived
    def iou(self) -> Tensor:
        """Intersection over union; 1 for two boxes without area that are the same, else 0."""
        return ratio(self.intersection, self.union) + (self.same & (self.union <= 0))

    @Derived
    def enclosed(self) -> Tensor:
        """Area of the smallest box that encloses both."""
        return measure(self.hull)

    @Derived
    def diagonal(self) -> Tensor:
        """Squared diagonal of the smallest box that encloses both."""
        return self.hull.square().sum(0)

    @Derived
    def distance(self) -> Tensor:
        """Squared distance between the centres."""
        return self.offset.square().sum(0)

    @Derived
    def mismatch(self) -> Tensor:
        """What the shorter of two sides lacks, as a share of the longer one, along each axis."""
        longer = torch.maximum(self.size, self.target_size)
        return ratio((self.size - self.target_size).abs(), longer)
