"""GIoU of boxes in space: IoU, and how much of the enclosing box neither fills."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.losses.boxes.giou import giou_costs
from taylored.modules.boxes import SpaceBoxLoss, space_box_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["GIoU3DLoss", "giou_3d_loss"]


class GIoU3DLoss(SpaceBoxLoss):
    r"""Generalised IoU loss of boxes in space, :math:`1 - \mathrm{IoU} + (C - U) / C`.

    C is the volume of the smallest enclosing box that is turned as the target is, U that of the
    union. Turning both boxes by one angle changes nothing, and with the same yaw it is the GIoU of
    aligned boxes.

    Example:
        >>> import torch
        >>> box = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0])
        >>> turned = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, torch.pi / 4])
        >>> GIoU3DLoss()(turned, box)
        tensor(0.8968)
    """

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return giou_costs(pair)


@function_of(GIoU3DLoss)
def giou_3d_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Generalised IoU loss of boxes in space, :math:`1 - \mathrm{IoU} + (C - U) / C`.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0, 2.0], [1.0, 0.0, 0.0, 2.0, 2.0, 2.0]])
        >>> giou_3d_loss(boxes[:1], boxes[1:])
        tensor(0.6667)
    """
    return space_box_loss(giou_costs, input, target, **shared)


SPEC = spec_of(
    "giou_3d",
    GIoU3DLoss,
    giou_3d_loss,
    summary="GIoU of boxes in space, aligned or turned about the upright axis",
    formula=r"1 - \mathrm{IoU} + (C - U) / C",
    value_range="[0, 2)",
    reference=Reference(
        "Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese",
        "Generalized Intersection over Union: A Metric and a Loss for Bounding Box Regression",
        "CVPR 2019",
        "algorithm 1",
    ),
    differs={
        "Rotated_IoU": "cal_giou_3d(enclosing_type=...): the smallest rectangle of any angle, or "
        "one along the axes of the world, in place of one turned as the target",
    },
    examples=("giou_3d()",),
)
