"""References of margins and scores."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters, class_weight, is_index, kept_mask, one_hot, softmax
from references.registry import reference


def truths(logits: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Smoothed truths, and the weight of each position."""
    smoothing, classes = parameters.get("label_smoothing", 0.0), logits.shape[1]
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / classes
    weight = (class_weight(parameters, logits) * y).sum(1)
    return y, weight * kept_mask(logits, target, parameters, "softmax")


@reference("brier")
def brier(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, weight = truths(logits, target, parameters)
    return ((softmax(logits) - y) ** 2).sum(1) * weight


@reference("multiclass_hinge")
def multiclass_hinge(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, weight = truths(logits, target, parameters)
    own = (y * logits).sum(1)
    found = []
    for j in range(logits.shape[1]):
        short = torch.relu(parameters.get("margin", 1.0) - own + logits[:, j])
        found.append(short ** parameters.get("power", 1.0) * (y[:, j] == 0))
    every = torch.stack(found, 1)
    strongest = parameters.get("rivals", "strongest") == "strongest"
    return (every.max(1).values if strongest else every.mean(1)) * weight
