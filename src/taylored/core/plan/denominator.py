"""Denominators: which number a summed loss is divided by."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import fail, one_of
from taylored.core.plan.plan import Reduction

REDUCTIONS = ("none", "sum", "mean", "batch_mean")


def check_reduction(reduction: str, normalizer: float | Tensor | None) -> None:
    """Refuse unknown reductions, and a normalizer that nothing would be divided by."""
    one_of("reduction", reduction, REDUCTIONS)
    if normalizer is None:
        return
    if reduction != "mean":
        fail(
            "normalizer",
            'used with reduction="mean" only (it replaces the denominator)',
            f"reduction={reduction!r}",
            'leave `normalizer` out, or use reduction="mean"',
        )
    if isinstance(normalizer, Tensor):
        if normalizer.numel() != 1:
            fail("normalizer", "one number", f"shape {tuple(normalizer.shape)}", "sum it first")
    elif not normalizer > 0:
        fail("normalizer", "a number > 0", normalizer, "use max(1, count)")


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
