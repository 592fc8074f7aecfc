"""Two boxes: intersection, union, enclosing box, offsets; all finite for boxes of any size.

Boxes are rows (x1, y1, x2, y2). A box whose second corner lies before the first is empty: it has
sides of length 0. Nothing is added to a denominator to keep it from being 0; a ratio of 0 to 0 is
decided instead by what it means, once, in `ratio`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
BOX_FORMATS: tuple[BoxFormat, ...] = ("xyxy", "xywh", "cxcywh")


def corners(boxes: Tensor, format: BoxFormat) -> Tensor:
    """Boxes as their two corners."""
    if format == "xyxy":
        return boxes
    start, size = boxes[..., :2], boxes[..., 2:]
    if format == "cxcywh":
        start = start - size / 2
    return torch.cat([start, start + size], dim=-1)


def ratio(part: Tensor, whole: Tensor, empty: float) -> Tensor:
    """A part over the whole, `empty` where the whole is 0; both with finite derivatives."""
    nothing = whole <= 0
    return torch.where(nothing, empty, part / torch.where(nothing, 1.0, whole))


@dataclass(frozen=True)
class Pair:
    """A predicted box and its target, and the lengths that losses are made of, each (..., 2).

    Attributes:
        size: sides of the predicted box.
        target_size: sides of the target.
        overlap: sides of the intersection.
        hull: sides of the smallest box that encloses both.
        offset: from the centre of the target to the centre of the prediction.
    """

    size: Tensor
    target_size: Tensor
    overlap: Tensor
    hull: Tensor
    offset: Tensor

    @classmethod
    def of(cls, boxes: Tensor, target: Tensor) -> Pair:
        """The pair of boxes that are given by their corners."""
        start, stop = boxes[..., :2], boxes[..., 2:]
        target_start, target_stop = target[..., :2], target[..., 2:]
        overlap = torch.minimum(stop, target_stop) - torch.maximum(start, target_start)
        hull = torch.maximum(stop, target_stop) - torch.minimum(start, target_start)
        return cls(
            size=(stop - start).clamp_min(0.0),
            target_size=(target_stop - target_start).clamp_min(0.0),
            overlap=overlap.clamp_min(0.0),
            hull=hull.clamp_min(0.0),
            offset=(start - target_start + stop - target_stop) / 2,
        )

    @property
    def intersection(self) -> Tensor:
        """Area that both have."""
        return self.overlap[..., 0] * self.overlap[..., 1]

    @property
    def union(self) -> Tensor:
        """Area that either has."""
        area = self.size[..., 0] * self.size[..., 1]
        target_area = self.target_size[..., 0] * self.target_size[..., 1]
        return area + target_area - self.intersection

    @property
    def iou(self) -> Tensor:
        """Intersection over union; 1 for two boxes without area at the same place, else 0."""
        same = (self.hull == self.size).all(-1) & (self.hull == self.target_size).all(-1)
        nothing = self.union <= 0
        whole = torch.where(nothing, 1.0, self.union)
        return torch.where(nothing, same.to(whole), self.intersection / whole)
