"""The number that a summed loss is divided by."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Reduction


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


def divided(
    rows: Tensor, denominator: Tensor | float | None, normalizer: Tensor | float | None = None
) -> Tensor:
    """The coefficients over the denominator. With nothing to divide by, the loss is 0.

    Where nothing is left, the rows are 0 already; a normalizer of 0 makes them so.
    """
    if denominator is None:
        return rows
    if not isinstance(denominator, Tensor):
        return rows / denominator if denominator else rows * 0.0
    rows = rows / one_if_zero(denominator.to(rows).reshape(()))
    return rows if normalizer is None else rows * _amount(denominator.reshape(())).to(rows)


def _amount(normalizer: Tensor) -> Tensor:
    """1 for a number > 0, 0 for 0, and NaN for what is no amount: looking may cost a sync."""
    amount = normalizer.detach().to(torch.float32)
    return torch.where(amount > 0, 1.0, torch.where(amount == 0, 0.0, math.nan))
