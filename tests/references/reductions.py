"""References of losses whose value belongs to a whole batch: one number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.formulas import Parameters, kept_mask
from references.registry import losses_of, reference


def counted(logits: Tensor, target: Tensor, parameters: Parameters) -> tuple[list[float], Tensor]:
    """The values of the wrapped loss that count, and the sample weights of those."""
    inner = parameters["loss"]
    values = losses_of(inner, logits, target)
    kept = kept_mask(logits, target, inner.innermost().arguments, inner.link())
    weight = parameters.get("sample_weight")
    weight = torch.ones_like(values) if weight is None else weight.expand(values.shape)
    return values[(kept > 0) & (weight > 0)], weight[(kept > 0) & (weight > 0)]


@reference("hardest")
def hardest(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    values, weight = counted(logits, target, parameters)
    number = math.ceil(parameters.get("share", 0.25) * len(values) - 1e-9)
    return (values * weight).sort(descending=True).values[:number].sum() / max(1, number)


@reference("tilted")
def tilted(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    values, weight = counted(logits, target, parameters)
    t = parameters.get("t", 1.0)
    return torch.log((weight * torch.exp(t * values)).sum() / weight.sum()) / t


@reference("two_way")
def two_way(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Kobayashi 2023, one sample and one class at a time."""
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    if target.dim() < logits.dim():
        hot = torch.nn.functional.one_hot(target.clamp_min(0), logits.shape[1]).movedim(-1, 1)
        target = torch.where(target.unsqueeze(1) == -100, -100, hot)
    truth = target.movedim(1, -1).reshape(rows.shape)
    total = torch.zeros((), dtype=logits.dtype)
    for z, y in ((rows, truth), (rows.T, truth.T)):
        found = []
        for line, yes in zip(z, y, strict=True):
            if not (yes > 0.5).any():
                continue
            low, high = line[(yes >= 0) & (yes <= 0.5)], line[yes > 0.5]
            warm = parameters.get("positive_temperature", 4.0)
            cold = parameters.get("negative_temperature", 1.0)
            weakest = warm * torch.log(torch.exp(-high / warm).sum())
            strongest = cold * torch.log(torch.exp(low / cold).sum())
            found.append(torch.log(1 + torch.exp(weakest + strongest)))
        total = total + sum(found) / max(1, len(found))
    return total
