"""CIoU: DIoU, and how different the aspect ratios are."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.boxes.geometry import Pair, constant, ratio, unit_of
from taylored.losses.boxes.diou import diou_costs
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["CIoULoss", "ciou_loss"]


def slant(size: Tensor) -> Tensor:
    """arctan(w / h): the angle of a box's diagonal, from its upright side."""
    # In a unit of the box itself: squares of the sides of a speck would underflow.
    width, height = (size / unit_of(size)).unbind(0)
    # A point has no angle: arctan(0 / 1), whose derivatives `aspect` drops.
    return torch.atan2(width, torch.where(width + height > 0, height, 1.0))


def aspect(pair: Pair) -> Tensor:
    """v = 4 / pi^2 (arctan(w_t / h_t) - arctan(w / h))^2; 0 where one of the boxes is a point."""
    difference = slant(pair.target_size) - slant(pair.size)
    shaped = (pair.size.amax(0) > 0) & (pair.target_size.amax(0) > 0)
    return torch.where(shaped, difference, 0.0).square() * (4.0 / math.pi**2)


def ciou_costs(pair: Pair, alpha_above: float = 0.0) -> Tensor:
    """DIoU + alpha v, alpha = v / (1 - IoU + v) (Zheng et al. 2020, equations 8 to 11)."""
    v = aspect(pair)
    iou, shape = constant(pair.iou), constant(v)
    alpha = torch.where(iou >= alpha_above, ratio(shape, 1.0 - iou + shape), 0.0)
    return diou_costs(pair) + alpha * v


class CIoULoss(BoxLoss):
    r"""Complete-IoU loss, :math:`1 - \mathrm{IoU} + \rho^2 / c^2 + \alpha v`.

    :math:`v = \frac{4}{\pi^2} (\arctan \frac{w_t}{h_t} - \arctan \frac{w}{h})^2` compares the
    aspect ratios, and :math:`\alpha = v / (1 - \mathrm{IoU} + v)`, a constant through which no
    gradient flows, lets the overlap come first. Boxes of one aspect ratio and different size have
    v = 0: EIoU compares the sides themselves.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 4.0])
        >>> CIoULoss()(boxes, target), CIoULoss(alpha_above=0.5)(boxes, target)
        (tensor(0.7629), tensor(0.7292))
    """

    alpha_above: Annotated[
        float,
        About(
            "IoU from which on shapes are compared: 0 always (AAAI 2020), 0.5 as in the journal "
            "version; raising it leaves shapes alone until the boxes overlap as much",
            within="[0, 1]",
            search=(0.0, 0.7),
        ),
    ] = 0.0

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return ciou_costs(pair, self.alpha_above)


@function_of(CIoULoss)
def ciou_loss(
    input: Tensor, target: Tensor, *, alpha_above: float = 0.0, **shared: Unpack[BoxCall]
) -> Tensor:
    r"""Complete-IoU loss, :math:`1 - \mathrm{IoU} + \rho^2 / c^2 + \alpha v`.

    Example:
        >>> import torch
        >>> ciou_loss(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 2.0, 4.0]))
        tensor(0.7629)
    """
    costs = functools.partial(ciou_costs, alpha_above=alpha_above)
    return box_loss(costs, input, target, **shared)


SPEC = spec_of(
    "ciou",
    CIoULoss,
    ciou_loss,
    summary="DIoU, and the difference of the aspect ratios",
    formula=r"1 - \mathrm{IoU} + \rho^2 / c^2 + \alpha v",
    reference=Reference(
        "Zheng, Wang, Liu, Li, Ye, Ren",
        "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
        "AAAI 2020",
        "equations 8 to 11; the threshold: arXiv 2005.03572",
    ),
    differs={
        "torchvision": "complete_box_iou_loss: equal but for its eps; a box of 0 x 0 makes it NaN "
        "there, and has no aspect ratio here",
        "mmdetection": "CIoULoss: alpha_above=0.5 (IoU > 0.5 there), with IoU clamped to [-1, 1], "
        "beyond which the gradient ends; before 2.x a gradient flowed through alpha",
        "ultralytics": "bbox_iou(CIoU=True) is 1 minus this loss, but for eps, which it adds to "
        "the heights too where boxes are corners",
        "original code": "drops the 1 / (w^2 + h^2) of the gradient of v; here the gradient is "
        "that of the formula",
    },
    examples=("ciou()", "ciou(alpha_above=0.5)", 'ciou(format="cxcywh")'),
)
