"""References of the losses of boxes: one pair at a time, in plain arithmetic."""

from __future__ import annotations

import math
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
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def resized(self, factor: float) -> Box:
        """The box around the same centre, with other sides."""
        x, y = self.centre
        w, h = factor * self.width / 2, factor * self.height / 2
        return Box(x - w, y - h, x + w, y + h)


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


def squared(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The squared distance of two points."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


@reference_of_boxes("iou")
def iou_loss(one: Box, other: Box, parameters: Parameters) -> float:
    form, floor = parameters.get("form", "linear"), parameters.get("floor", 1e-6)
    found = iou(one, other)
    if form == "linear":
        return 1 - found
    if form == "square":
        return 1 - found**2
    return -math.log(found) if found > floor else 1 - math.log(floor) - found / floor


@reference_of_boxes("giou")
def giou(one: Box, other: Box, parameters: Parameters) -> float:
    shared, hull = intersection(one, other), enclosing(one, other).area
    return 1 - iou(one, other) + (hull - (one.area + other.area - shared)) / hull


@reference_of_boxes("diou")
def diou(one: Box, other: Box, parameters: Parameters) -> float:
    hull = enclosing(one, other)
    return 1 - iou(one, other) + squared(one.centre, other.centre) / squared(hull[:2], hull[2:])


@reference_of_boxes("ciou")
def ciou(one: Box, other: Box, parameters: Parameters) -> float:
    angle = math.atan(other.width / other.height) - math.atan(one.width / one.height)
    v, found = 4 / math.pi**2 * angle**2, iou(one, other)
    alpha = v / ((1 - found) + v) if found >= parameters.get("alpha_above", 0) else 0
    return diou(one, other, parameters) + alpha * v


@reference_of_boxes("eiou")
def eiou(one: Box, other: Box, parameters: Parameters) -> float:
    hull = enclosing(one, other)
    width = (one.width - other.width) ** 2 / hull.width**2
    height = (one.height - other.height) ** 2 / hull.height**2
    return diou(one, other, parameters) + width + height


@reference_of_boxes("focal_eiou")
def focal_eiou(one: Box, other: Box, parameters: Parameters) -> float:
    return iou(one, other) ** parameters.get("gamma", 0.5) * eiou(one, other, parameters)


@reference_of_boxes("siou")
def siou(one: Box, other: Box, parameters: Parameters) -> float:
    theta, hull = parameters.get("theta", 4), enclosing(one, other)
    (x, y), (x_t, y_t) = one.centre, other.centre
    sigma = math.hypot(x - x_t, y - y_t)
    angle = 1 - 2 * math.sin(math.asin(abs(y - y_t) / sigma) - math.pi / 4) ** 2
    gamma = 2 - angle
    rho = ((x - x_t) / hull.width) ** 2, ((y - y_t) / hull.height) ** 2
    distance = sum(1 - math.exp(-gamma * each) for each in rho)
    omega = (
        abs(one.width - other.width) / max(one.width, other.width),
        abs(one.height - other.height) / max(one.height, other.height),
    )
    shape = sum((1 - math.exp(-each)) ** theta for each in omega)
    return 1 - iou(one, other) + (distance + shape) / 2


@reference_of_boxes("mpdiou")
def mpdiou(one: Box, other: Box, parameters: Parameters) -> float:
    image = parameters.get("image_width", 1) ** 2 + parameters.get("image_height", 1) ** 2
    first, second = squared(one[:2], other[:2]), squared(one[2:], other[2:])
    return 1 - (iou(one, other) - first / image - second / image)


@reference_of_boxes("inner_iou")
def inner_iou(one: Box, other: Box, parameters: Parameters) -> float:
    factor = parameters.get("ratio", 0.75)
    inner = iou(one.resized(factor), other.resized(factor))
    base = {"iou": iou_loss, "giou": giou, "diou": diou, "ciou": ciou, "eiou": eiou, "siou": siou}
    loss = base[parameters.get("base", "iou")](one, other, {})
    return loss + iou(one, other) - inner


@reference_of_boxes("shape_iou")
def shape_iou(one: Box, other: Box, parameters: Parameters) -> float:
    scale, theta = parameters.get("scale", 0), parameters.get("theta", 4)
    w, h = other.width**scale, other.height**scale
    ww, hh = 2 * w / (w + h), 2 * h / (w + h)
    hull, (x, y), (x_t, y_t) = enclosing(one, other), one.centre, other.centre
    c2 = squared(hull[:2], hull[2:])
    distance = hh * (x - x_t) ** 2 / c2 + ww * (y - y_t) ** 2 / c2
    omega_w = hh * abs(one.width - other.width) / max(one.width, other.width)
    omega_h = ww * abs(one.height - other.height) / max(one.height, other.height)
    shape = (1 - math.exp(-omega_w)) ** theta + (1 - math.exp(-omega_h)) ** theta
    return 1 - iou(one, other) + distance + 0.5 * shape


@reference_of_boxes("wiou")
def wiou(one: Box, other: Box, parameters: Parameters) -> float:
    """In evaluation, with the running mean that it starts with, or is given."""
    hull, lost = enclosing(one, other), 1 - iou(one, other)
    v1 = math.exp(squared(one.centre, other.centre) / squared(hull[:2], hull[2:])) * lost
    if parameters.get("version", "v3") == "v1":
        return v1
    alpha, delta = parameters.get("alpha", 1.9), parameters.get("delta", 3)
    beta = lost / parameters.get("mean", 1)
    return beta / (delta * alpha ** (beta - delta)) * v1


@reference_of_boxes("nwd")
def nwd(one: Box, other: Box, parameters: Parameters) -> float:
    first = (*one.centre, one.width / 2, one.height / 2)
    second = (*other.centre, other.width / 2, other.height / 2)
    return 1 - math.exp(-math.dist(first, second) / parameters.get("constant", 12.8))


@reference_of_boxes("bounded_iou")
def bounded_iou(one: Box, other: Box, parameters: Parameters) -> float:
    beta, total = parameters.get("beta", 0.2), 0.0
    sides = ((one.width, other.width), (one.height, other.height))
    for centre, target, (side, truth) in zip(one.centre, other.centre, sides, strict=True):
        off = abs(centre - target)
        bounds = max(0, (truth - 2 * off) / (truth + 2 * off)), min(side / truth, truth / side)
        for bound in bounds:
            lost = 1 - bound
            total += lost**2 / (2 * beta) if lost < beta else lost - beta / 2
    return total
