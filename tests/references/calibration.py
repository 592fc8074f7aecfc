"""References of the losses of `losses/calibration`."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters, softmax
from references.registry import reference
from references.scores import truths


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return -(y * torch.log(torch.where(y > 0, softmax(logits), 1.0))).sum(1)


@reference("dual_focal")
def dual_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Tao et al. 2023, as their code has it."""
    y, weight = truths(logits, target, parameters)
    p = softmax(logits)
    own = (y * p).sum(1, keepdim=True)
    below = torch.where(p < own, p, 0.0).max(1).values
    base = 1 - own.squeeze(1) + below
    return base ** parameters.get("gamma", 5.0) * cross_entropy(logits, y) * weight


@reference("max_sup")
def max_sup(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, weight = truths(logits, target, parameters)
    penalty = logits.max(1).values - logits.mean(1)
    return (cross_entropy(logits, y) + parameters.get("strength", 0.1) * penalty) * weight


@reference("mbls")
def mbls(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Liu et al. 2022, as their LogitMarginL1 has it."""
    y, weight = truths(logits, target, parameters)
    apart = logits.max(1, keepdim=True).values - logits
    penalty = torch.relu(apart - parameters.get("margin", 10.0)).mean(1)
    return (cross_entropy(logits, y) + parameters.get("strength", 0.1) * penalty) * weight


@reference("logit_norm")
def logit_norm(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, weight = truths(logits, target, parameters)
    length = (logits**2).sum(1, keepdim=True) ** 0.5
    return cross_entropy(logits / (parameters.get("tau", 0.04) * length), y) * weight


@reference("z_loss")
def z_loss(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    _, weight = truths(logits, target, parameters)
    return torch.log(torch.exp(logits).sum(1)) ** 2 * weight
