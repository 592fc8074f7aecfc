"""GIoU: what two boxes do not share, and how much of their enclosing box neither fills."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair, ratio
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["GIoULoss", "giou_loss"]


def giou_costs(pair: Pair) -> Tensor:
    """1 - IoU + (C - U) / C, C the area of the enclosing box (Rezatofighi et al., algorithm 1)."""
    return 1.0 - pair.iou + ratio(pair.enclosed - pair.union, pair.enclosed)


class GIoULoss(BoxLoss):
    r"""Generalised IoU loss, :math:`1 - \mathrm{IoU} + (C - U) / C`, in [0, 2).

    Unlike 1 - IoU it has a gradient for boxes that do not overlap. Inside one another they get no
    signal from the second part: DIoU and CIoU have one there.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
        >>> target = torch.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 3.0, 1.0]])
        >>> GIoULoss(reduction="none")(boxes, target)
        tensor([0.0000, 1.3333])
    """

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return giou_costs(pair)


@function_of(GIoULoss)
def giou_loss(input: Tensor, target: Tensor, **shared: Unpack[BoxCall]) -> Tensor:
    r"""Generalised IoU loss, :math:`1 - \mathrm{IoU} + (C - U) / C`, in [0, 2).

    Example:
        >>> import torch
        >>> giou_loss(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([2.0, 0.0, 3.0, 1.0]))
        tensor(1.3333)
    """
    return box_loss(giou_costs, input, target, **shared)


SPEC = spec_of(
    "giou",
    GIoULoss,
    giou_loss,
    summary="1 - IoU, and the share of the enclosing box that neither box fills",
    formula=r"1 - \mathrm{IoU} + (C - U) / C",
    value_range="[0, 2)",
    reference=Reference(
        "Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese",
        "Generalized Intersection over Union: A Metric and a Loss for Bounding Box Regression",
        "CVPR 2019",
        "algorithm 1",
    ),
    differs={
        "torchvision": "generalized_box_iou_loss: equal but for the eps in its denominators; its "
        "default reduction is 'none', and two boxes without area at the same place cost 1 there, "
        "0 here",
    },
    examples=("giou()", 'giou(format="cxcywh")', 'giou(format="xywh")'),
)
