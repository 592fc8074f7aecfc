"""Denominators: which number a summed loss is divided by."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.plan.options import Reduction


def denominator_of(
    reduction: Reduction,
    normalizer: float | Tensor | None,
    *,
    mean: Tensor | int,
    batch_mean: Tensor | int,
) -> Tensor | float | None:
    """What the sum is to be divided by; None for nothing. May be zero where nothing is left."""
    if reduction in ("none", "sum"):
        return None
    counted = mean if reduction == "mean" else batch_mean
    return counted if normalizer is None else normalizer


def divided(rows: Tensor, denominator: Tensor | float | None) -> Tensor:
    """The coefficients over the denominator; one of zero counts as one: nothing left gives 0."""
    if denominator is None:
        return rows
    if not isinstance(denominator, Tensor):
        return rows / (denominator or 1.0)
    amount = denominator.to(rows).reshape(())
    return rows / torch.where(amount == 0, 1.0, amount)
