"""DIoU: IoU, and how far the centres lie apart."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair, ratio
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["DIoULoss", "diou_loss"]


def diou_costs(pair: Pair) -> Tensor:
    """1 - IoU + rho^2 / c^2 (Zheng et al. 2020, equation 7)."""
    return 1.0 - pair.iou + ratio(pair.distance, pair.diagonal)


class DIoULoss(BoxLoss):
    r"""Distance-IoU loss, :math:`1 - \mathrm{IoU} + \rho^2 / c^2`, in [0, 2).

    :math:`\rho` is the distance between the centres and c the diagonal of the enclosing box. It
    moves centres towards each other also where the boxes do not overlap, and where one lies in the
    other. It says nothing of their shapes: CIoU and EIoU do.

    Example:
        >>> import torch
        >>> loss = DIoULoss()
        >>> loss(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([2.0, 0.0, 3.0, 1.0]))
        tensor(1.4000)
    """

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return diou_costs(pair)


@function_of(DIoULoss)
def diou_loss(input: Tensor, target: Tensor, **shared: Unpack[BoxCall]) -> Tensor:
    r"""Distance-IoU loss, :math:`1 - \mathrm{IoU} + \rho^2 / c^2`, in [0, 2).

    Example:
        >>> import torch
        >>> diou_loss(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([2.0, 0.0, 3.0, 1.0]))
        tensor(1.4000)
    """
    return box_loss(diou_costs, input, target, **shared)


SPEC = spec_of(
    "diou",
    DIoULoss,
    diou_loss,
    summary="1 - IoU, and the distance of the centres over the enclosing diagonal",
    formula=r"1 - \mathrm{IoU} + \rho^2 / c^2",
    value_range="[0, 2)",
    reference=Reference(
        "Zheng, Wang, Liu, Li, Ye, Ren",
        "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
        "AAAI 2020",
        "equation 7",
    ),
    differs={
        "torchvision": "distance_box_iou_loss: equal but for the eps in its denominators; two "
        "boxes without area at the same place cost 1 there, 0 here",
    },
    examples=("diou()", 'diou(format="cxcywh")'),
)
