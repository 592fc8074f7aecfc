"""The whole loss in float64: unreduced losses, sample weights, denominator."""

from __future__ import annotations

import torch
from torch import Tensor

from references.call import Call
from references.formulas import along, is_index, kept_mask, one_hot
from references.registry import CLASS_WEIGHTS, losses_of


def denominator(call: Call, logits: Tensor, target: Tensor) -> Tensor:
    """What the sum is divided by; zero counts as one."""
    reduction, link = call.option("reduction", "mean"), call.link()
    kept = kept_mask(logits, target, call.innermost().arguments, link)
    if reduction == "batch_mean":
        count = kept.sum() if link == "softmax" else (kept > 0).any(dim=1).sum()
    elif link == "softmax" and is_index(target, logits):
        weight = call.option("weight")
        if call.name in CLASS_WEIGHTS:
            weight = CLASS_WEIGHTS[call.name]({**call.arguments, **call.state})
        weight = along(1.0 if weight is None else weight, logits)
        count = ((one_hot(target, logits.shape[1]) * weight).sum(dim=1) * kept).sum()
    else:
        count = kept.sum()
    return torch.where(count == 0, 1.0, count.double())


def reference_loss(
    call: Call,
    logits: Tensor,
    target: Tensor,
    *,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    """The whole loss in float64: unreduced losses, sample weights, denominator."""
    logits = logits.double()
    if sample_weight is None:
        losses = losses_of(call, logits, target)
    else:
        extra = sample_weight.double()
        dims = logits.dim() if call.link() == "sigmoid" else logits.dim() - 1
        if call.link() == "sigmoid" and extra.dim() < dims:
            extra = extra.reshape(*extra.shape[:1], 1, *extra.shape[1:])
        extra = extra.reshape(*extra.shape, *[1] * (dims - extra.dim()))
        losses = losses_of(call, logits, target, sample_weight=extra) * extra
    reduction = call.option("reduction", "mean")
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if normalizer is not None:
        amount = torch.as_tensor(normalizer, dtype=torch.float64)
        return torch.where(amount == 0, 0.0, losses.sum() / torch.where(amount == 0, 1.0, amount))
    return losses.sum() / denominator(call, logits, target)
