"""References of the losses of `losses/detection_quality`."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters, elements, entropy, sigmoid, softmax
from references.registry import reference


@reference("varifocal")
def varifocal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Zhang et al. 2021, equation 2."""
    y, coefficient = elements(logits, target, parameters)
    p = sigmoid(logits)
    negative = parameters.get("alpha", 0.75) * p ** parameters.get("gamma", 2.0)
    return coefficient * torch.where(y > 0, y, negative) * entropy(logits, y)


@reference("quality_focal")
def quality_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2020, equation 3."""
    y, coefficient = elements(logits, target, parameters)
    distance = (y - sigmoid(logits)).abs()
    return coefficient * distance ** parameters.get("beta", 2.0) * entropy(logits, y)


@reference("ghm")
def ghm(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2019, equations 5 to 9, bin by bin."""
    y, coefficient = elements(logits, target, parameters)
    # What counts for nothing is in no bin.
    valid = (coefficient * parameters.get("sample_weight", 1.0)).expand(logits.shape) != 0
    size = (sigmoid(logits) - y).abs().detach()
    bins = parameters.get("bins", 10)
    weights = torch.zeros_like(size)
    filled = 0
    for b in range(bins):
        last = b == bins - 1
        inside = (size >= b / bins) & ((size < (b + 1) / bins) | last) & valid
        if inside.any():
            filled += 1
            weights[inside] = valid.sum().item() / inside.sum().item()
    return coefficient * weights / max(filled, 1) * entropy(logits, y)


@reference("distribution_focal")
def distribution_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2020, equation 6: mass in proportion to how near a bin is."""
    log_p = torch.log(softmax(logits))
    total = torch.zeros_like(target)
    for b in range(logits.shape[1]):
        total = total - (1 - (target - b).abs()).clamp(min=0) * log_p[:, b]
    return total


@reference("matchability_aware")
def matchability_aware(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Huang et al. 2025: -q^g log p - (1 - q^g) log(1 - p), or -p^g log(1 - p) without a match."""
    y, coefficient = elements(logits, target, parameters)
    gamma, alpha = parameters.get("gamma", 1.5), parameters.get("alpha", 1.0)
    p = sigmoid(logits)
    quality = torch.where(y > 0, y, 0.5) ** gamma
    negative = -alpha * p.detach() ** gamma * torch.log(sigmoid(-logits))
    return coefficient * torch.where(y > 0, entropy(logits, quality), negative)
