"""References of the losses of `losses/calibration`."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters, softmax
from references.registry import losses_of, reference, reference_of_p_t
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


@reference_of_p_t("flsd")
def flsd(p: Tensor, parameters: Parameters) -> Tensor:
    """Mukhoti et al. 2020: gamma 5 for p in [0, 0.2), 3 for p in [0.2, 1]."""
    hard = p < parameters.get("threshold", 0.2)
    gamma = torch.where(hard, parameters.get("hard_gamma", 5.0), parameters.get("gamma", 3.0))
    return -((1 - p) ** gamma.double()) * torch.log(p)


@reference_of_p_t("ada_focal")
def ada_focal(p: Tensor, parameters: Parameters) -> Tensor:
    """Ghosh et al. 2022, before the first step: one gamma, inverse focal loss where negative."""
    gamma = parameters.get("initial", 1.0)
    return -((1 - p) ** gamma if gamma >= 0 else (1 + p) ** -gamma) * torch.log(p)


@reference_of_p_t("inverse_focal")
def inverse_focal(p: Tensor, parameters: Parameters) -> Tensor:
    """Wang et al. 2021."""
    return -((1 + p) ** parameters.get("gamma", 2)) * torch.log(p)


@reference("softcap")
def softcap(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """The wrapped loss of c tanh(z / c), tanh as a quotient of exponentials."""
    cap = parameters.get("cap", 30.0)
    up, down = torch.exp(logits / cap), torch.exp(-logits / cap)
    return losses_of(parameters["loss"], cap * (up - down) / (up + down), target)
