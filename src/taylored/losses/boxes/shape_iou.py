"""Shape-IoU: distance and shape, weighted by the shape of the target."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.boxes.geometry import Pair, constant, ratio, unit_of
from taylored.losses.boxes.siou import shape_cost
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["ShapeIoULoss", "shape_iou_loss"]


def shape_weights(pair: Pair, scale: float) -> Tensor:
    """2 w_t^s / (w_t^s + h_t^s), and that of the height: both 1 for a point; constants."""
    sides = constant(pair.target_size)
    powers = torch.where(sides.amax(0) > 0, sides / unit_of(sides), 1.0).pow(scale)
    return 2.0 * powers / powers.sum(0)


def shape_iou_costs(pair: Pair, scale: float, theta: float) -> Tensor:
    """1 - IoU + distance + shape / 2 (Zhang and Zhang, equations 3 to 9)."""
    # What happens across a long target weighs more than what happens along it.
    across = shape_weights(pair, scale).flip(0)
    distance = ratio((across * pair.offset.square()).sum(0), pair.diagonal)
    return 1.0 - pair.iou + distance + shape_cost(across * pair.mismatch, theta) / 2


class ShapeIoULoss(BoxLoss):
    r"""Shape-IoU loss, :math:`1 - \mathrm{IoU} + d + \Omega / 2`.

    With weights :math:`a_w = 2 w_t^s / (w_t^s + h_t^s)`, and :math:`a_h` likewise, of the target's
    sides, the distance is :math:`d = (a_h d_x^2 + a_w d_y^2) / c^2` and the shape cost
    :math:`\Omega = (1 - e^{-a_h \omega_w})^\theta + (1 - e^{-a_w \omega_h})^\theta`, with
    :math:`\omega` as in SIoU. The weights are constants: no gradient flows through them.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([1.0, 0.0, 9.0, 2.0]), torch.tensor([0.0, 0.0, 8.0, 2.0])
        >>> across = torch.tensor([0.0, 1.0, 8.0, 3.0])
        >>> loss = ShapeIoULoss(scale=1.0)
        >>> loss(boxes, target), loss(across, target)
        (tensor(0.2269), tensor(0.6886))
    """

    scale: Annotated[
        float,
        About(
            "s, how much the target's shape counts; raising it weighs what happens across a long "
            "target more, 0 weighs both axes alike",
            within="[0, inf)",
            search=(0.0, 1.5),
        ),
    ] = 0.0
    theta: Annotated[
        float,
        About(
            "exponent of the shape cost; raising it leaves small differences of the sides alone",
            within="[1, inf)",
            search=(2.0, 6.0),
        ),
    ] = 4.0

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return shape_iou_costs(pair, self.scale, self.theta)


@function_of(ShapeIoULoss)
def shape_iou_loss(
    input: Tensor,
    target: Tensor,
    *,
    scale: float = 0.0,
    theta: float = 4.0,
    **shared: Unpack[BoxCall],
) -> Tensor:
    r"""Shape-IoU loss, :math:`1 - \mathrm{IoU} + d + \Omega / 2`.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([1.0, 0.0, 9.0, 2.0]), torch.tensor([0.0, 0.0, 8.0, 2.0])
        >>> shape_iou_loss(boxes, target, scale=1.0)
        tensor(0.2269)
    """
    costs = functools.partial(shape_iou_costs, scale=scale, theta=theta)
    return box_loss(costs, input, target, **shared)


SPEC = spec_of(
    "shape_iou",
    ShapeIoULoss,
    shape_iou_loss,
    summary="1 - IoU, with distance and shape weighted by the shape of the target",
    formula=r"1 - \mathrm{IoU} + (a_h d_x^2 + a_w d_y^2) / c^2 + \Omega / 2",
    reference=Reference(
        "Zhang, Zhang",
        "Shape-IoU: More Accurate Metric Considering Bounding Box Shape and Scale",
        "arXiv 2312.17663 (2023)",
        "equations 3 to 9",
    ),
    differs={
        "malagoutou/Shape-IoU": "shape_iou(box1, box2, scale=0) is 1 minus this loss for boxes of "
        "centre and sides, but for eps; two boxes without width give NaN there",
    },
    examples=("shape_iou()", "shape_iou(scale=0.5)", "shape_iou(scale=1, theta=2)"),
)
