"""References of the losses of boxes in space: corners, and polygons clipped edge by edge."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from references.formulas import Parameters
from references.registry import reference

Point = tuple[float, float]


class Solid(NamedTuple):
    """A box in space."""

    centre: tuple[float, float, float]
    sides: tuple[float, float, float]
    yaw: float

    @classmethod
    def of(cls, row: list[float]) -> Solid:
        x, y, z, width, length, height, *yaw = row
        return cls((x, y, z), (width, length, height), yaw[0] if yaw else 0.0)

    @property
    def footprint(self) -> list[Point]:
        """Its corners on the ground, counter-clockwise."""
        (x, y, _), (width, length, _), yaw = self
        corners = []
        for i, j in ((1, 1), (-1, 1), (-1, -1), (1, -1)):
            u, v = turned((i * width / 2, j * length / 2), yaw)
            corners.append((x + u, y + v))
        return corners

    @property
    def span(self) -> tuple[float, float]:
        """From its bottom to its top."""
        return self.centre[2] - self.sides[2] / 2, self.centre[2] + self.sides[2] / 2

    @property
    def volume(self) -> float:
        return math.prod(self.sides)


def turned(point: Point, angle: float) -> Point:
    x, y = point
    return (
        math.cos(angle) * x - math.sin(angle) * y,
        math.sin(angle) * x + math.cos(angle) * y,
    )


def area(polygon: list[Point]) -> float:
    """By the shoelace formula."""
    following = polygon[1:] + polygon[:1]
    return sum(a * d - b * c for (a, b), (c, d) in zip(polygon, following, strict=True)) / 2


def clipped(polygon: list[Point], a: Point, b: Point) -> list[Point]:
    """The part of a polygon on the left of the line from a to b (Sutherland and Hodgman)."""

    def left(p: Point) -> float:
        return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])

    kept = []
    for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if left(p) >= 0:
            kept.append(p)
        if left(p) * left(q) < 0:
            t = left(p) / (left(p) - left(q))
            kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    return kept


def intersection(one: Solid, other: Solid) -> float:
    polygon, window = one.footprint, other.footprint
    for a, b in zip(window, window[1:] + window[:1], strict=True):
        polygon = clipped(polygon, a, b) if polygon else []
    common = min(one.span[1], other.span[1]) - max(one.span[0], other.span[0])
    return max(0.0, area(polygon) if polygon else 0.0) * max(0.0, common)


def iou(one: Solid, other: Solid) -> float:
    shared = intersection(one, other)
    return shared / (one.volume + other.volume - shared)


def enclosing(one: Solid, other: Solid) -> tuple[float, float, float]:
    """Sides of the smallest box that encloses both, turned as the second."""
    seen = [turned(corner, -other.yaw) for box in (one, other) for corner in box.footprint]
    xs, ys = ([point[axis] for point in seen] for axis in (0, 1))
    height = max(one.span[1], other.span[1]) - min(one.span[0], other.span[0])
    return max(xs) - min(xs), max(ys) - min(ys), height


Cost = Callable[[Solid, Solid], float]


def reference_of_solids(name: str) -> Callable[[Cost], Cost]:
    """The reference is what one pair of boxes costs."""

    def register(cost: Cost) -> Cost:
        @reference(name)
        def values(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
            flat = [each.reshape(-1, each.shape[-1]).tolist() for each in (input, target)]
            found = [cost(Solid.of(a), Solid.of(b)) for a, b in zip(*flat, strict=True)]
            return torch.tensor(found, dtype=torch.float64).reshape(input.shape[:-1])

        return cost

    return register


@reference_of_solids("iou_3d")
def iou_3d(one: Solid, other: Solid) -> float:
    return 1 - iou(one, other)


@reference_of_solids("giou_3d")
def giou_3d(one: Solid, other: Solid) -> float:
    hull = math.prod(enclosing(one, other))
    union = one.volume + other.volume - intersection(one, other)
    return 1 - iou(one, other) + (hull - union) / hull


@reference_of_solids("diou_3d")
def diou_3d(one: Solid, other: Solid) -> float:
    diagonal = sum(side**2 for side in enclosing(one, other))
    return 1 - iou(one, other) + math.dist(one.centre, other.centre) ** 2 / diagonal
