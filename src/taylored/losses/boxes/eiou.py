"""EIoU: IoU, the distance of the centres, and the differences of the sides."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair, ratio
from taylored.losses.boxes.diou import diou_costs
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["EIoULoss", "eiou_loss"]


def eiou_costs(pair: Pair) -> Tensor:
    """DIoU + (w - w_t)^2 / c_w^2 + (h - h_t)^2 / c_h^2 (Zhang et al., equation 6)."""
    return diou_costs(pair) + ratio(pair.size - pair.target_size, pair.hull).square().sum(0)


class EIoULoss(BoxLoss):
    r"""Efficient-IoU loss, :math:`1 - \mathrm{IoU} + \rho^2 / c^2 + \Delta w^2 / c_w^2 + \Delta h^2 / c_h^2`.

    :math:`\Delta w` and :math:`\Delta h` are the differences of the sides, :math:`c_w` and
    :math:`c_h` the sides of the enclosing box. Each side has a gradient of its own, where the
    aspect ratio of CIoU ties the two together.

    Example:
        >>> import torch
        >>> loss = EIoULoss()
        >>> loss(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 4.0]))
        tensor(1.2292)
    """  # noqa: E501 - the formula

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return eiou_costs(pair)


@function_of(EIoULoss)
def eiou_loss(input: Tensor, target: Tensor, **shared: Unpack[BoxCall]) -> Tensor:
    r"""Efficient-IoU loss, DIoU + :math:`\Delta w^2 / c_w^2 + \Delta h^2 / c_h^2`.

    Example:
        >>> import torch
        >>> eiou_loss(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 4.0]))
        tensor(1.2292)
    """
    return box_loss(eiou_costs, input, target, **shared)


SPEC = spec_of(
    "eiou",
    EIoULoss,
    eiou_loss,
    summary="DIoU, and the differences of the sides over those of the enclosing box",
    formula=r"1 - \mathrm{IoU} + \rho^2 / c^2 + \Delta w^2 / c_w^2 + \Delta h^2 / c_h^2",
    reference=Reference(
        "Zhang, Ren, Zhang, Jia, Wang, Tan",
        "Focal and Efficient IOU Loss for Accurate Bounding Box Regression",
        "Neurocomputing 2022, arXiv 2101.08158",
        "equation 6",
    ),
    differs={
        "mmdetection": "EIoULoss is another loss, the *Extended* IoU of Peng and Yu (2021): a "
        "smooth function of a signed intersection, without the three distances of this one",
        "EOD": "'eiou' is 1 - EIoU * IoU, neither this loss nor Focal-EIoU",
    },
    examples=("eiou()", 'eiou(format="xywh")'),
)
