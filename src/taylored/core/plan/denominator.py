"""The number that a summed loss is divided by."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Reduction
from taylored.core.state.gradient_indicator import GradientSums


def denominator_of(
    reduction: Reduction,
    normalizer: float | Tensor | None,
    *,
    mean: Tensor | int,
    batch_mean: Tensor | int,
) -> Tensor | float | None:
    """What the sum is to be divided by; None for nothing. It is zero where nothing is left."""
    if reduction in ("none", "sum"):
        return None
    counted = mean if reduction == "mean" else batch_mean
    return counted if normalizer is None else normalizer


def divided(rows: Tensor, denominator: Tensor | float | None) -> Tensor:
    """The coefficients over the denominator. With nothing to divide by, the loss is 0."""
    if denominator is None:
        return rows
    if not isinstance(denominator, Tensor):
        return rows / (denominator or 1.0)
    return rows / one_if_zero(denominator.to(rows).reshape(()))


def undivided(sums: Tensor, denominator: Tensor | float | None) -> GradientSums:
    """Sums of gradients per class, (2, C), as they were before the loss was divided."""
    if denominator is None:
        return GradientSums(sums[0], sums[1], None)
    amount = torch.as_tensor(denominator, device=sums.device).to(sums).reshape(())
    whole = sums * one_if_zero(amount)
    return GradientSums(whole[0], whole[1], amount)
