"""Inner-IoU: the overlap of boxes that are made smaller, or larger, around their centres."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Literal, Unpack

from torch import Tensor

from taylored.core.boxes.geometry import Pair
from taylored.losses.boxes.ciou import ciou_costs
from taylored.losses.boxes.diou import diou_costs
from taylored.losses.boxes.eiou import eiou_costs
from taylored.losses.boxes.giou import giou_costs
from taylored.losses.boxes.iou import iou_costs
from taylored.losses.boxes.siou import siou_costs
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["InnerIoULoss", "inner_iou_loss"]

Base = Literal["iou", "giou", "diou", "ciou", "eiou", "siou"]
_COSTS: dict[Base, Callable[[Pair], Tensor]] = {
    "iou": iou_costs,
    "giou": giou_costs,
    "diou": diou_costs,
    "ciou": ciou_costs,
    "eiou": eiou_costs,
    "siou": siou_costs,
}


def inner_iou_costs(pair: Pair, ratio: float, base: Base) -> Tensor:
    """L_base + IoU - IoU of the auxiliary boxes (Zhang et al. 2023, equations 1 to 12)."""
    inner = pair.resized(ratio).iou
    return 1.0 - inner if base == "iou" else _COSTS[base](pair) + pair.iou - inner


class InnerIoULoss(BoxLoss):
    r"""Inner-IoU loss, :math:`L + \mathrm{IoU} - \mathrm{IoU}_{\mathrm{inner}}`.

    The inner IoU is that of auxiliary boxes with the same centres and `ratio` times the sides. It
    takes the place of the IoU in another loss L. Smaller boxes overlap less: a steeper gradient for
    good matches. Larger ones overlap where the boxes themselves do not yet: for poor ones.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([1.0, 0.0, 3.0, 2.0])
        >>> [InnerIoULoss(ratio=r)(boxes, target).item() for r in (0.5, 1.0)]
        [1.0, 0.6666666269302368]
    """

    ratio: Annotated[
        float,
        About(
            "sides of the auxiliary boxes over those of the boxes, 0.5 to 1.5 in the paper; "
            "raising it reaches poorer matches, below 1 it sharpens good ones, 1 is L itself",
            within="(0, inf)",
            search=(0.5, 1.5),
        ),
    ] = 0.75
    base: Annotated[
        Base, About('the loss L whose IoU is replaced; "iou" is 1 - IoU, the inner IoU alone')
    ] = "iou"

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return inner_iou_costs(pair, self.ratio, self.base)


@function_of(InnerIoULoss)
def inner_iou_loss(
    input: Tensor,
    target: Tensor,
    *,
    ratio: float = 0.75,
    base: Base = "iou",
    **shared: Unpack[BoxCall],
) -> Tensor:
    r"""Inner-IoU loss, :math:`L + \mathrm{IoU} - \mathrm{IoU}_{\mathrm{inner}}`.

    Example:
        >>> import torch
        >>> boxes, target = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([1.0, 0.0, 3.0, 2.0])
        >>> inner_iou_loss(boxes, target, ratio=1.5, base="giou")
        tensor(0.5000)
    """
    costs = functools.partial(inner_iou_costs, ratio=ratio, base=base)
    return box_loss(costs, input, target, **shared)


SPEC = spec_of(
    "inner_iou",
    InnerIoULoss,
    inner_iou_loss,
    summary="another box loss, with the IoU of smaller or larger boxes in place of its IoU",
    formula=r"L + \mathrm{IoU} - \mathrm{IoU}_{\mathrm{inner}}",
    reference=Reference(
        "Zhang, Xu, Zhang",
        "Inner-IoU: More Effective Intersection over Union Loss with Auxiliary Bounding Box",
        "arXiv 2311.02877 (2023)",
        "equations 1 to 12",
    ),
    examples=("inner_iou()", 'inner_iou(ratio=1.3, base="ciou")', 'inner_iou(base="siou")'),
    identities={
        "inner_iou(ratio=1)": "iou()",
        'inner_iou(ratio=1, base="giou")': "giou()",
        'inner_iou(ratio=1, base="eiou")': "eiou()",
    },
)
