"""DIoU of boxes in space: IoU, and how far the centres lie apart."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.losses.boxes.diou import diou_costs
from taylored.modules.boxes import SpaceBoxLoss, space_box_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["DIoU3DLoss", "diou_3d_loss"]


class DIoU3DLoss(SpaceBoxLoss):
    r"""Distance-IoU loss of boxes in space, :math:`1 - \mathrm{IoU} + \rho^2 / c^2`.

    :math:`\rho` is the distance between the centres, c the diagonal of the smallest enclosing box
    that is turned as the target is.

    Example:
        >>> import torch
        >>> box = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, 0.0])
        >>> turned = torch.tensor([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, torch.pi / 4])
        >>> DIoU3DLoss()(turned, box)
        tensor(0.4826)
    """

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return diou_costs(pair)


@function_of(DIoU3DLoss)
def diou_3d_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Distance-IoU loss of boxes in space, :math:`1 - \mathrm{IoU} + \rho^2 / c^2`.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0, 2.0], [1.0, 0.0, 0.0, 2.0, 2.0, 2.0]])
        >>> diou_3d_loss(boxes[:1], boxes[1:])
        tensor(0.7255)
    """
    return space_box_loss(diou_costs, input, target, **shared)


SPEC = spec_of(
    "diou_3d",
    DIoU3DLoss,
    diou_3d_loss,
    summary="DIoU of boxes in space, aligned or turned about the upright axis",
    formula=r"1 - \mathrm{IoU} + \rho^2 / c^2",
    value_range="[0, 2)",
    reference=Reference(
        "Zheng, Wang, Liu, Li, Ye, Ren",
        "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
        "AAAI 2020",
        "equation 7",
    ),
    differs={
        "Rotated_IoU": "cal_diou_3d(enclosing_type=...): the diagonal of the smallest rectangle of "
        "any angle, or of one along the axes of the world, in place of one turned as the target",
    },
    examples=("diou_3d()",),
)
