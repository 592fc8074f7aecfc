"""Focal Tversky: a power of the Tversky loss of each class."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.sums import Sums
from taylored.losses.overlap.tversky import FalseNegatives, FalsePositives, tversky_cost
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.overlap.base import RegionLoss
from taylored.modules.overlap.call import region_loss
from taylored.modules.overlap.vocabulary import RegionCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["FocalTverskyLoss", "focal_tversky_loss"]


def focal_tversky_cost(sums: Sums, alpha: float, beta: float, gamma: float) -> Tensor:
    """(1 - TI)^(1 / gamma) (Abraham and Khan 2019, equation 4)."""
    return safe_power(tversky_cost(sums, alpha, beta), 1.0 / gamma)


def safe_power(cost: Tensor, exponent: float) -> Tensor:
    """A power of costs whose gradient is 0, not infinite, where nothing is wrong."""
    right = cost <= 0
    return torch.where(right, 0.0, torch.where(right, 1.0, cost) ** exponent)


class FocalTverskyLoss(RegionLoss):
    r"""Focal Tversky loss, :math:`(1 - TI)^{1 / \gamma}`.

    gamma > 1 raises the cost of every class, and the most where little is wrong: the loss keeps its
    gradient until small regions are right. gamma < 1 does the opposite and goes on about classes
    that are badly wrong. Abraham and Khan weigh false negatives by their alpha = 0.7, which is
    called beta here and in Salehi's paper.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 2.0, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> FocalTverskyLoss(gamma=4 / 3, link="sigmoid")(logits, mask)
        tensor(0.4279)
    """

    alpha: FalsePositives = 0.3
    beta: FalseNegatives = 0.7
    gamma: Annotated[
        float,
        About(
            "the exponent is 1 / gamma; raising it above 1 raises the gradient of classes that are "
            "nearly right, which is infinite in the limit",
            within="(0, inf)",
            search=(0.5, 3.0),
        ),
    ] = 4 / 3

    def cost(self, sums: Sums) -> Tensor:
        """One value per ratio."""
        return focal_tversky_cost(sums, self.alpha, self.beta, self.gamma)


@function_of(FocalTverskyLoss)
def focal_tversky_loss(
    input: Logits,
    target: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    **shared: Unpack[RegionCall],
) -> Tensor:
    r"""Focal Tversky loss, :math:`(1 - TI)^{1 / \gamma}`.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> focal_tversky_loss(logits, truth, gamma=1.0, reduction="none")
        tensor([0.4444, 0.6154])
    """
    cost = functools.partial(focal_tversky_cost, alpha=alpha, beta=beta, gamma=gamma)
    return region_loss(input, target, cost, OverlapOptions(**shared))


SPEC = spec_of(
    "focal_tversky",
    FocalTverskyLoss,
    focal_tversky_loss,
    summary="a power 1 / gamma of the Tversky loss, which keeps a gradient for small regions",
    formula=r"(1 - TI)^{1 / \gamma}",
    value_range="[0, 1]",
    reference=Reference(
        "Abraham, Khan",
        "A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion Segmentation",
        "ISBI 2019",
        "equation 4",
    ),
    differs={
        "focal-tversky-unet": "the authors' code: the exponent is its gamma = 0.75, 1 / gamma "
        "here; its alpha = 0.7 weighs false negatives, beta here; smooth = 1 above and below; one "
        "ratio of all classes and samples, average='micro'",
        "smp": "TverskyLoss(gamma=g): a power g of the mean over the classes, not of each",
    },
    examples=(
        "focal_tversky()",
        'focal_tversky(gamma=0.5, link="sigmoid", average="sample")',
        "focal_tversky(alpha=0.5, beta=0.5, gamma=2, smooth_numerator=1, smooth_denominator=1)",
    ),
    identities={"focal_tversky(gamma=1)": "tversky()"},
)
