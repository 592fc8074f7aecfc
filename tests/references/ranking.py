"""References of losses that order samples: one class, one sample, one pair at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from references.formulas import Parameters, one_hot, sigmoid
from references.registry import reference

Sides = Callable[[Tensor, Tensor], Tensor]
"""(logits of the class, of the others) to the loss of a class."""


def over_classes(logits: Tensor, target: Tensor, of_class: Sides) -> Tensor:
    """The mean over the classes that have both sides."""
    if target.dim() < logits.dim():
        hot = one_hot(target, logits.shape[1])
        target = torch.where(target.unsqueeze(1) == -100, -100.0, hot)
    rows, truth = (
        each.movedim(1, 0).reshape(logits.shape[1], -1).double() for each in (logits, target)
    )
    found = []
    for z, y in zip(rows, truth, strict=True):
        high, low = z[y > 0.5], z[(y >= 0) & (y <= 0.5)]
        if len(high) and len(low):
            found.append(of_class(high, low))
    return sum(found) / max(1, len(found)) + 0 * logits.sum()


@reference("auc_margin")
def auc_margin(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Yuan et al. 2021: alpha at its best, found among numbers; a and b are the means."""
    margin = parameters.get("margin", 1.0)

    def of_class(high: Tensor, low: Tensor) -> Tensor:
        h, g = sigmoid(high), sigmoid(low)
        a, b = h.mean(), g.mean()
        alpha = max(0.0, float((margin + b - a).detach()))
        game = 2 * alpha * (margin + b - a) - alpha**2
        return ((h - a) ** 2).mean() + ((g - b) ** 2).mean() + game

    return over_classes(logits, target, of_class)


@reference("partial_auc")
def partial_auc(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Zhu et al. 2022: pair by pair."""
    margin, share = parameters.get("margin", 1.0), parameters.get("max_fpr", 0.3)

    def of_class(high: Tensor, low: Tensor) -> Tensor:
        hardest = low.sort(descending=True).values[: math.ceil(share * len(low) - 1e-9)]
        pairs = [torch.relu(margin - sigmoid(i) + sigmoid(j)) ** 2 for i in high for j in hardest]
        return sum(pairs) / len(pairs)

    return over_classes(logits, target, of_class)


@reference("smooth_ap")
def smooth_ap(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Brown et al. 2020, equation 7."""
    tau = parameters.get("temperature", 1.0)

    def of_class(high: Tensor, low: Tensor) -> Tensor:
        precisions = []
        for i in range(len(high)):
            friends = [sigmoid((high[j] - high[i]) / tau) for j in range(len(high)) if j != i]
            others = [sigmoid((z - high[i]) / tau) for z in low]
            precisions.append((1 + sum(friends)) / (1 + sum(friends) + sum(others)))
        return 1 - sum(precisions) / len(precisions)

    return over_classes(logits, target, of_class)
