"""Log-cosh Dice: the Dice loss with a gradient that fades as it is met."""

from __future__ import annotations

import math
from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.sums import Sums
from taylored.losses.overlap.dice import dice_cost
from taylored.modules.function import function_of
from taylored.modules.overlap.base import RegionLoss
from taylored.modules.overlap.call import region_loss
from taylored.modules.overlap.vocabulary import RegionCall
from taylored.modules.spec import Reference, spec_of

__all__ = ["LogCoshDiceLoss", "log_cosh_dice_loss"]


def log_cosh_dice_cost(sums: Sums) -> Tensor:
    """log cosh D of the Dice loss D (Jadon 2020, section II.L)."""
    dice = dice_cost(sums, 1)
    return dice + F.softplus(-2.0 * dice) - math.log(2.0)


class LogCoshDiceLoss(RegionLoss):
    r"""Log-cosh Dice loss, :math:`\log \cosh D` of the Dice loss D.

    Its gradient is that of Dice times tanh D: at most 0.76 of it, and nearly none where a class is
    nearly right. It is about D^2 / 2 there.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[[2.0, 2.0, -2.0, -2.0]]])
        >>> mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> LogCoshDiceLoss(link="sigmoid")(logits, mask)
        tensor(0.0829)
    """

    def cost(self, sums: Sums) -> Tensor:
        """One value per ratio."""
        return log_cosh_dice_cost(sums)


@function_of(LogCoshDiceLoss)
def log_cosh_dice_loss(input: Logits, target: Tensor, **shared: Unpack[RegionCall]) -> Tensor:
    r"""Log-cosh Dice loss, :math:`\log \cosh D` of the Dice loss D.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]])
        >>> log_cosh_dice_loss(logits, truth, reduction="none")
        tensor([0.0780, 0.2075])
    """
    return region_loss(input, target, log_cosh_dice_cost, OverlapOptions(**shared))


SPEC = spec_of(
    "log_cosh_dice",
    LogCoshDiceLoss,
    log_cosh_dice_loss,
    summary="log cosh of the Dice loss: its gradient fades as a class is nearly right",
    formula=r"\log \cosh \left(1 - \frac{2 \sum p y + s_n}{\sum p + \sum y + s_d}\right)",
    value_range="[0, 0.434]",
    reference=Reference(
        "Jadon", "A survey of loss functions for semantic segmentation", "CIBCB 2020", "II.L"
    ),
    examples=(
        "log_cosh_dice()",
        'log_cosh_dice(link="sigmoid", average="sample", smooth_denominator=1)',
    ),
)
