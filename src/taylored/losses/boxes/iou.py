"""IoU: what two boxes do not share, linear, squared or as a logarithm."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["IoULoss", "iou_loss"]

Form = Literal["linear", "log", "square"]


def iou_costs(pair: Pair, form: Form = "linear", floor: float = 1e-6) -> Tensor:
    """1 - IoU, -ln IoU (Yu et al. 2016, equation 4) or 1 - IoU^2."""
    iou = pair.iou
    if form == "linear":
        return 1.0 - iou
    if form == "square":
        return 1.0 - iou.square()
    # Below the floor the logarithm goes on as its tangent: finite for boxes that do not overlap,
    # and the gradient of those that hardly do stays, where a clamp would end it.
    return -iou.clamp_min(floor).log() + (floor - iou).clamp_min(0.0) / floor


class IoULoss(BoxLoss):
    r"""IoU loss: :math:`1 - \mathrm{IoU}`, :math:`-\ln \mathrm{IoU}` or :math:`1 - \mathrm{IoU}^2`.

    Boxes that do not overlap get no gradient from it, whatever the form: GIoU, DIoU and the losses
    built on them have one. The logarithm punishes small overlaps most, the square least.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 1.0])
        >>> IoULoss()(boxes, target), IoULoss(form="log")(boxes, target)
        (tensor(0.5000), tensor(0.6931))
    """

    form: Annotated[
        Form,
        About('"linear" 1 - IoU; "log" -ln IoU, whose gradient grows as the overlap shrinks; '
              '"square" 1 - IoU^2, whose gradient shrinks with the overlap'),
    ] = "linear"  # fmt: skip
    floor: Annotated[
        float,
        About(
            'IoU below which form="log" goes on as a straight line; raising it lowers the loss of '
            "boxes without overlap, 1 - ln(floor), and the largest gradient, 1 / floor",
            within="(0, 1]",
        ),
    ] = 1e-6

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return iou_costs(pair, self.form, self.floor)


@function_of(IoULoss)
def iou_loss(
    input: Tensor,
    target: Tensor,
    *,
    form: Form = "linear",
    floor: float = 1e-6,
    **shared: Unpack[BoxCall],
) -> Tensor:
    r"""IoU loss: :math:`1 - \mathrm{IoU}`, :math:`-\ln \mathrm{IoU}` or :math:`1 - \mathrm{IoU}^2`.

    Example:
        >>> import torch
        >>> iou_loss(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 1.0]))
        tensor(0.5000)
    """
    costs = functools.partial(iou_costs, form=form, floor=floor)
    return box_loss(costs, input, target, **shared)


SPEC = spec_of(
    "iou",
    IoULoss,
    iou_loss,
    summary="1 - IoU, -ln IoU or 1 - IoU^2",
    formula=r"1 - \mathrm{IoU},\quad -\ln \mathrm{IoU},\quad 1 - \mathrm{IoU}^2",
    value_range="[0, 1 - ln(floor)]",
    reference=Reference(
        "Yu, Jiang, Wang, Cao, Huang",
        "UnitBox: An Advanced Object Detection Network",
        "ACM Multimedia 2016",
        "equation 4, form='log'",
    ),
    differs={
        "mmdetection": "IoULoss(mode='linear' | 'square' | 'log'): its default is 'log', with the "
        "IoU clamped at 1e-6, where value and gradient stop; here both go on",
        "EOD": "-log(IoU) without a floor: infinite for boxes that do not overlap. Its IoU "
        "divides by at least 1, in pixels, which is another number for boxes in [0, 1]",
    },
    examples=("iou()", 'iou(form="log")', 'iou(form="square")', 'iou(form="log", floor=0.1)'),
)
