"""Two boxes in space, aligned with the axes or turned about the upright one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.boxes.footprint import shared_area
from taylored.core.boxes.geometry import Derived, Pair, axes_first


@dataclass(frozen=True)
class TurnedPair(Pair):
    """Boxes that are turned about the upright axis, seen along the sides of the target.

    The enclosing box is the smallest one that is turned as the target is. With the same yaw the two
    are a pair of aligned boxes; turning both by the same angle changes nothing.

    Attributes:
        turn: cosine and sine of the angle from the target to the prediction, (2, ...).
    """

    turn: Tensor

    @Derived
    def hull(self) -> Tensor:
        """Sides of the smallest box, turned as the target, that encloses both."""
        cos, sin = self.turn.abs().unbind(0)
        width, length, height = self.size.unbind(0)
        extent = torch.stack([cos * width + sin * length, sin * width + cos * length, height])
        longer = torch.maximum(extent, self.target_size)
        return torch.maximum(longer, (extent + self.target_size) / 2 + self.offset.abs())

    @Derived
    def intersection(self) -> Tensor:
        """Volume that both have."""
        area = shared_area(self.offset[:2], self.size[:2], self.turn, self.target_size[:2])
        return area * self.overlap[2]

    @Derived
    def same(self) -> Tensor:
        """Whether the two are one box."""
        alike = (self.offset == 0) & (self.size == self.target_size)
        return alike.all(0) & (self.turn[0] == 1)


def pair_in_space(boxes: Tensor, target: Tensor) -> Pair:
    """The pair of boxes that are written as centre, sides and, with seven numbers, yaw."""
    boxes, target = axes_first(boxes), axes_first(target)
    pair = Pair.measured(boxes[:3] - target[:3], boxes[3:6], target[3:6])
    if boxes.shape[0] == 6:
        return pair
    x, y, z = pair.offset.unbind(0)
    cos, sin = target[6].cos(), target[6].sin()
    along = torch.stack([cos * x + sin * y, cos * y - sin * x, z])
    angle = boxes[6] - target[6]
    turn = torch.stack([angle.cos(), angle.sin()])
    return TurnedPair(along, pair.size, pair.target_size, pair.unit, turn)
