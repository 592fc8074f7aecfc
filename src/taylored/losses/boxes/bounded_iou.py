"""Bounded IoU: for each coordinate, the best IoU that it leaves possible."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.boxes.geometry import Pair, ratio
from taylored.modules.boxes import BoxCall, BoxLoss, box_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["BoundedIoULoss", "bounded_iou_loss"]


def bounded_iou_costs(pair: Pair, beta: float) -> Tensor:
    """The sum of smooth L1 of 1 - IoU_B over centre and sides (Tychsen-Smith and Petersson)."""
    double = 2.0 * pair.offset.abs()
    # 1 - max(0, (w_t - 2 d) / (w_t + 2 d)), and 1 - min(w / w_t, w_t / w).
    centre = ratio(2.0 * double, pair.target_size + double).clamp_max(1.0)
    missing = torch.cat([centre, pair.mismatch])
    return F.smooth_l1_loss(missing, torch.zeros_like(missing), reduction="none", beta=beta).sum(0)


class BoundedIoULoss(BoxLoss):
    r"""Bounded IoU loss, :math:`\sum_{x, y, w, h} \mathrm{smooth}_{L1}(1 - \mathrm{IoU}_B)`.

    Centre and sides are judged one by one, with an :math:`\mathrm{IoU}_B` of
    :math:`\max(0, (w_t - 2d) / (w_t + 2d))` for an offset d, and of :math:`\min(w / w_t, w_t / w)`
    for a side. A centre further off than half the target's side gets no gradient.

    Example:
        >>> import torch
        >>> loss = BoundedIoULoss(beta=0.2)
        >>> loss(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([0.1, 0.0, 2.1, 2.0]))
        tensor(0.0826)
    """

    beta: Annotated[
        float,
        About(
            "where smooth L1 turns from squared to absolute; raising it treats larger errors as "
            "small and lowers their gradient",
            within="[0, inf)",
            search=(0.05, 1.0),
        ),
    ] = 0.2

    def costs(self, pair: Pair) -> Tensor:
        """One value per pair of boxes."""
        return bounded_iou_costs(pair, self.beta)


@function_of(BoundedIoULoss)
def bounded_iou_loss(
    input: Tensor, target: Tensor, *, beta: float = 0.2, **shared: Unpack[BoxCall]
) -> Tensor:
    r"""Bounded IoU loss, :math:`\sum_{x, y, w, h} \mathrm{smooth}_{L1}(1 - \mathrm{IoU}_B)`.

    Example:
        >>> import torch
        >>> bounded_iou_loss(torch.tensor([0.0, 0, 2, 2]), torch.tensor([0.1, 0.0, 2.1, 2.0]))
        tensor(0.0826)
    """
    return box_loss(functools.partial(bounded_iou_costs, beta=beta), input, target, **shared)


SPEC = spec_of(
    "bounded_iou",
    BoundedIoULoss,
    bounded_iou_loss,
    summary="smooth L1 of 1 - the best IoU that each of centre and sides leaves possible",
    formula=r"\sum_{x, y, w, h} \mathrm{smooth}_{L1}(1 - \mathrm{IoU}_B)",
    value_range="[0, 4)",
    reference=Reference(
        "Tychsen-Smith, Petersson",
        "Improving Object Localization with Fitness NMS and Bounded IoU Loss",
        "CVPR 2018",
        "section 4",
    ),
    differs={
        "mmdetection": "BoundedIoULoss: the four parts apart, so that its mean is a quarter of "
        "this; with eps = 1e-3 in the denominators, and no gradient for targets",
    },
    examples=("bounded_iou()", "bounded_iou(beta=0.5)"),
)
