"""Rotated boxes as Gaussians: centre, and a covariance with the box's directions.

The covariances are never formed. Everything that the losses need is a sum of squares of sides and
offsets, seen along the sides of either box, so that nothing cancels for boxes that nearly agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.boxes.geometry import axes_first, unit_of

_THINNEST = 2.0**-20
"""The least side, in the unit of the pair: a Gaussian without width has no density."""


@dataclass(frozen=True)
class GaussianPair:
    """A predicted box and its target with covariances k R diag(w^2, h^2) R^T, for any factor k.

    Each attribute is (...), in a unit of the pair.

    Attributes:
        area: w h of the prediction.
        target_area: that of the target.
        both: the determinant of the sum of the covariances, over k^2.
        excess: how much it exceeds 4 area target_area, its least for these areas.
        apart: d^T adj(S) d of the sum S of the covariances and the offset d of the centres, over k.
        target_apart: d^T S_t^-1 d with the target's covariance alone, times k.
    """

    area: Tensor
    target_area: Tensor
    both: Tensor
    excess: Tensor
    apart: Tensor
    target_apart: Tensor

    @classmethod
    def of(cls, boxes: Tensor, target: Tensor) -> GaussianPair:
        """The pair of boxes that are written as centre, sides and angle."""
        boxes, target = axes_first(boxes), axes_first(target)
        offset = boxes[:2] - target[:2]
        size, target_size = boxes[2:4].clamp_min(0.0), target[2:4].clamp_min(0.0)
        unit = unit_of(torch.cat([offset.detach().abs(), size, target_size]))
        w, h = (size / unit).clamp_min(_THINNEST).unbind(0)
        v, g = (target_size / unit).clamp_min(_THINNEST).unbind(0)
        angle = boxes[4] - target[4]
        cos2, sin2 = angle.cos().square(), angle.sin().square()
        x, y = _along(offset / unit, boxes[4])
        p, q = _along(offset / unit, target[4])
        area, target_area = w * h, v * g
        # The mixed part of the determinant, and how much it exceeds 2 area target_area.
        mixed = cos2 * ((w * g).square() + (h * v).square())
        mixed = mixed + sin2 * ((w * v).square() + (h * g).square())
        excess = cos2 * (w * g - h * v).square() + sin2 * (w * v - h * g).square()
        return cls(
            area=area,
            target_area=target_area,
            both=area.square() + target_area.square() + mixed,
            excess=(area - target_area).square() + excess,
            apart=(h * x).square() + (w * y).square() + (g * p).square() + (v * q).square(),
            target_apart=(p / v).square() + (q / g).square(),
        )


def _along(offset: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """An offset, seen along the sides of a box with this angle."""
    x, y = offset.unbind(0)
    cos, sin = angle.cos(), angle.sin()
    return cos * x + sin * y, cos * y - sin * x
