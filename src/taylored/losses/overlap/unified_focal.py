"""Unified focal loss: focal cross-entropy and focal Tversky, with one gamma and one delta."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.links.margins import margins_of
from taylored.core.overlap.batch import Batch, ratio
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.reduced import Ratios
from taylored.core.plan.options import LinkName
from taylored.core.terms.point import Point, inside
from taylored.losses.overlap.focal_tversky import safe_power
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.overlap.base import VolumeLoss
from taylored.modules.overlap.call import overlap_loss
from taylored.modules.overlap.vocabulary import VolumeCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["UnifiedFocalLoss", "unified_focal_loss"]


def unified_focal_costs(batch: Batch, balance: float, delta: float, gamma: float) -> Ratios:
    """The asymmetric form (Yeung et al. 2022, section 3.3): class 0 is the background."""
    found = batch.elements()
    at, y, w = Point(inside(margins_of(found.z))), found.y, found.coefficient
    background = _is_background(found.z)
    focus = torch.where(background, (1.0 - delta) * at.q_power(gamma), delta)
    entropy = torch.where(y == 0, 0.0, y * focus * at.nll)
    counted = batch.counted()
    distribution = ratio(batch.summed(w * entropy), counted)
    hit = batch.summed(w * at.p * y)
    missed, wrong = batch.summed(w * at.q * y), batch.summed(w * at.p * (1.0 - y))
    cost = ratio(delta * missed + (1.0 - delta) * wrong,
                 hit + delta * missed + (1.0 - delta) * wrong, empty=0.0)  # fmt: skip
    first = _is_background(cost)
    region = torch.where(first, cost, safe_power(cost, 1.0 - gamma))
    total = balance * distribution + (1.0 - balance) * region
    return Ratios(total, batch.summed(w * y), counted)


def _is_background(values: Tensor) -> Tensor:
    """Whether an entry of (N, C[, S]) belongs to class 0."""
    classes = torch.arange(values.shape[1], device=values.device)
    return (classes == 0).reshape(-1, *[1] * (values.dim() - 2))


class UnifiedFocalLoss(VolumeLoss):
    r"""Asymmetric unified focal loss, :math:`\lambda F_c + (1 - \lambda) T_c`, for every class c.

    :math:`F_c` is cross-entropy with the weight delta for foreground and
    :math:`(1 - \delta) (1 - p)^\gamma` for background, class 0, so that only easy background is
    turned down. :math:`T_c` is :math:`1 - TI_c` for background and :math:`(1 - TI_c)^{1 - \gamma}`
    for foreground, where delta prices what was missed and 1 - delta what was predicted wrongly.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> UnifiedFocalLoss(reduction="none")(logits, truth)
        tensor([0.2851, 0.4529])
    """

    link: ClassVar[LinkName] = "softmax"

    balance: Annotated[
        float,
        About(
            "share of the cross-entropy; raising it weighs positions more and regions less",
            within="[0, 1]",
            search=(0.0, 1.0),
        ),
    ] = 0.5
    delta: Annotated[
        float,
        About(
            "weight of foreground, and price of what was missed; raising it raises recall",
            within="[0, 1]",
            search=(0.5, 0.9),
        ),
    ] = 0.6
    gamma: Annotated[
        float,
        About(
            "focusing; raising it turns easy background down, and raises the gradient of "
            "foreground classes that are nearly right",
            within="[0, 1)",
            search=(0.0, 0.9),
        ),
    ] = 0.5

    def costs(self, batch: Batch) -> Ratios:
        """One value per class, in the batch or in each sample."""
        return unified_focal_costs(batch, self.balance, self.delta, self.gamma)


@function_of(UnifiedFocalLoss)
def unified_focal_loss(
    input: Logits,
    target: Tensor,
    *,
    balance: float = 0.5,
    delta: float = 0.6,
    gamma: float = 0.5,
    **shared: Unpack[VolumeCall],
) -> Tensor:
    r"""Asymmetric unified focal loss, :math:`\lambda F_c + (1 - \lambda) T_c`, for every class c.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> unified_focal_loss(logits, truth, balance=0.0, gamma=0.0, reduction="none")
        tensor([0.4231, 0.6429])
    """
    costs = functools.partial(unified_focal_costs, balance=balance, delta=delta, gamma=gamma)
    return overlap_loss(input, target, costs, OverlapOptions(link="softmax", **shared))


SPEC = spec_of(
    "unified_focal",
    UnifiedFocalLoss,
    unified_focal_loss,
    summary="focal cross-entropy plus focal Tversky, one gamma for both, background turned down",
    formula=r"\lambda F_c + (1 - \lambda) T_c",
    reference=Reference(
        "Yeung, Sala, Schoenlieb, Rundo",
        "Unified Focal loss: Generalising Dice and cross entropy-based losses to handle class "
        "imbalanced medical image segmentation",
        "Computerized Medical Imaging and Graphics 2022",
        "the asymmetric variant of section 3.3",
    ),
    differs={
        "MONAI": "AsymmetricUnifiedFocalLoss(weight=w, delta=delta, gamma=gamma): two classes; "
        "takes probabilities and clamps them at 1e-7; equal to unified_focal(average='sample', "
        "balance=w) with its delta 0.7",
    },
    examples=(
        "unified_focal()",
        'unified_focal(balance=0.2, delta=0.7, gamma=0.3, average="sample")',
    ),
)
