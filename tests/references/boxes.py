"""References of the losses of boxes: one pair at a time, in plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from references.formulas import Parameters
from references.registry import reference


class Box(NamedTuple):
    """A box by its corners."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, row: list[float], format: str) -> Box:
        a, b, c, d = row
        if format == "xywh":
            return cls(a, b, a + c, b + d)
        if format == "cxcywh":
            return cls(a - c / 2, b - d / 2, a + c / 2, b + d / 2)
        return cls(a, b, c, d)

    @property
    def area(self) -> float:
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


def intersection(one: Box, other: Box) -> float:
    return Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    ).area


def enclosing(one: Box, other: Box) -> Box:
    return Box(
        min(one.left, other.left),
        min(one.top, other.top),
        max(one.right, other.right),
        max(one.bottom, other.bottom),
    )


def iou(one: Box, other: Box) -> float:
    shared = intersection(one, other)
    return shared / (one.area + other.area - shared)


PairCost = Callable[[Box, Box, Parameters], float]


def reference_of_boxes(name: str) -> Callable[[PairCost], PairCost]:
    """The reference is what one pair of boxes costs."""

    def register(cost: PairCost) -> PairCost:
        @reference(name)
        def values(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
            format = parameters.get("format", "xyxy")
            rows = zip(input.reshape(-1, 4).tolist(), target.reshape(-1, 4).tolist(), strict=True)
            found = [cost(Box.of(a, format), Box.of(b, format), parameters) for a, b in rows]
            return torch.tensor(found, dtype=torch.float64).reshape(input.shape[:-1])

        return cost

    return register


@reference_of_boxes("giou")
def giou(one: Box, other: Box, parameters: Parameters) -> float:
    shared, hull = intersection(one, other), enclosing(one, other).area
    return 1 - iou(one, other) + (hull - (one.area + other.area - shared)) / hull
