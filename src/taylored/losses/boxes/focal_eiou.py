"""Focal-EIoU: EIoU, weighted by the overlap that a box already has."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair, constant
from taylored.losses.boxes.eiou import eiou_costs
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["FocalEIoULoss", "focal_eiou_loss"]


def focal_eiou_costs(pair: Pair, gamma: float) -> Tensor:
    """IoU^gamma EIoU (Zhang et al., equation 12), the power a constant."""
    # Its derivative would be infinite for boxes that only touch, and would pay for less overlap.
    return constant(pair.iou) ** gamma * eiou_costs(pair)


class FocalEIoULoss(BoxLoss):
    r"""Focal Efficient-IoU loss, :math:`\mathrm{IoU}^\gamma \, L_{\mathrm{EIoU}}`.

    The weight is a constant: no gradient flows through it. It turns *down* boxes that overlap
    little, the many poor matches of anchors, so that good ones are made better. Boxes without any
    overlap get no gradient at all; use EIoU where there is nothing else to bring them in.

    Example:
        >>> import torch
        >>> loss = FocalEIoULoss(gamma=0.5)
        >>> loss(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 4.0]))
        tensor(0.7097)
    """

    gamma: Annotated[
        float,
        About(
            "exponent of the weight; raising it turns poor matches further down, 0 is EIoU",
            within="[0, inf)",
            search=(0.0, 2.0),
        ),
    ] = 0.5

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return focal_eiou_costs(pair, self.gamma)


@function_of(FocalEIoULoss)
def focal_eiou_loss(
    input: Tensor, target: Tensor, *, gamma: float = 0.5, **shared: Unpack[BoxCall]
) -> Tensor:
    r"""Focal Efficient-IoU loss, :math:`\mathrm{IoU}^\gamma \, L_{\mathrm{EIoU}}`.

    Example:
        >>> import torch
        >>> focal_eiou_loss(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 4.0]))
        tensor(0.7097)
    """
    return box_loss(functools.partial(focal_eiou_costs, gamma=gamma), input, target, **shared)


SPEC = spec_of(
    "focal_eiou",
    FocalEIoULoss,
    focal_eiou_loss,
    summary="EIoU, times a power of the IoU as a constant weight",
    formula=r"\mathrm{IoU}^\gamma \, L_{\mathrm{EIoU}}",
    reference=Reference(
        "Zhang, Ren, Zhang, Jia, Wang, Tan",
        "Focal and Efficient IOU Loss for Accurate Bounding Box Regression",
        "Neurocomputing 2022, arXiv 2101.08158",
        "section 4.3",
    ),
    differs={
        "EOD": "'eiou' is 1 - EIoU * IoU, which is neither this loss nor EIoU",
        "YOLO forks": "some let the gradient through the weight, whose derivative is infinite at "
        "IoU = 0, and some divide by the sum of the weights (give that as `normalizer`)",
    },
    examples=("focal_eiou()", "focal_eiou(gamma=1)"),
    identities={"focal_eiou(gamma=0)": "eiou()"},
)
