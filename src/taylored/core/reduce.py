"""Denominators: which number a summed loss is divided by."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import fail, one_of
from taylored.core.plan import Reduction

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


def scale(
    reduction: Reduction,
    normalizer: float | Tensor | None,
    *,
    mean: Tensor | int,
    batch_mean: Tensor | int,
    like: Tensor,
) -> Tensor:
    """One over the denominator; a denominator of zero counts as one, so that nothing left is 0."""
    if reduction in ("none", "sum"):
        return torch.ones((), dtype=like.dtype, device=like.device)
    counted = mean if reduction == "mean" else batch_mean
    denominator = counted if normalizer is None else normalizer
    amount = torch.as_tensor(denominator, device=like.device).to(like.dtype).reshape(())
    return 1.0 / torch.where(amount == 0, torch.ones_like(amount), amount)
