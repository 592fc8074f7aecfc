"""IoU of boxes in space: what two boxes do not share."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.losses.boxes.iou import iou_costs
from taylored.modules.boxes import SpaceBoxLoss, space_box_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["IoU3DLoss", "iou_3d_loss"]


class IoU3DLoss(SpaceBoxLoss):
    r"""IoU loss of boxes in space, :math:`1 - \mathrm{IoU}`.

    The intersection of turned boxes is exact: the polygon that their footprints share, times the
    common height, with the exact gradient for centres, sides and yaw. Boxes that do not overlap
    get no gradient: use GIoU or DIoU there.

    Example:
        >>> import torch
        >>> box = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0])
        >>> turned = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, torch.pi / 4])
        >>> IoU3DLoss()(turned, box)
        tensor(0.4826)
    """

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return iou_costs(pair)


@function_of(IoU3DLoss)
def iou_3d_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""IoU loss of boxes in space, :math:`1 - \mathrm{IoU}`.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0, 2.0], [1.0, 0.0, 0.0, 2.0, 2.0, 2.0]])
        >>> iou_3d_loss(boxes[:1], boxes[1:])
        tensor(0.6667)
    """
    return space_box_loss(iou_costs, input, target, **shared)


SPEC = spec_of(
    "iou_3d",
    IoU3DLoss,
    iou_3d_loss,
    summary="1 - IoU of boxes in space, aligned or turned about the upright axis",
    formula=r"1 - \mathrm{IoU}",
    value_range="[0, 1]",
    reference=Reference(
        "Zhou, Fang, Song, Guan, Yin, Dai, Yang",
        "IoU Loss for 2D/3D Object Detection",
        "3DV 2019",
        "section 3",
    ),
    differs={
        "mmdetection3d": "RotatedIoU3DLoss: the same, by an operator that sorts the corners of the "
        "shared polygon; AxisAlignedIoULoss for boxes without yaw",
    },
    examples=("iou_3d()",),
)
