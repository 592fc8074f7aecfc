"""References of the losses of real numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.formulas import Parameters
from references.registry import reference


@reference("smooth_l1")
def smooth_l1(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    beta, d = parameters.get("beta", 1.0), (input - target).abs()
    return torch.where(d < beta, d**2 / (2 * beta) if beta else d, d - beta / 2)


@reference("l1")
def l1(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    return (input - target).abs()


@reference("mse")
def mse(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    return (input - target) ** 2


@reference("huber")
def huber(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    delta, d = parameters.get("delta", 1.0), (input - target).abs()
    return torch.where(d < delta, d**2 / 2, delta * (d - delta / 2))


@reference("log_cosh")
def log_cosh(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    return torch.log(torch.cosh(input - target))


@reference("quantile")
def quantile(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    tau, d = parameters.get("quantile", 0.5), target - input
    return torch.where(d >= 0, tau * d, (tau - 1) * d)


@reference("charbonnier")
def charbonnier(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    return ((input - target) ** 2 + parameters.get("epsilon", 1e-3) ** 2).sqrt()


@reference("general_robust")
def general_robust(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    alpha, c = parameters.get("alpha", 1.0), parameters.get("scale", 1.0)
    u = ((input - target) / c) ** 2
    if alpha == 2:
        return u / 2
    if alpha == 0:
        return torch.log(u / 2 + 1)
    if alpha == -math.inf:
        return 1 - torch.exp(-u / 2)
    return abs(alpha - 2) / alpha * ((u / abs(alpha - 2) + 1) ** (alpha / 2) - 1)


@reference("balanced_mse")
def balanced_mse(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ren et al. 2022, equation 10, one prediction and one label at a time."""
    noise, labels = parameters.get("sigma", 1.0) ** 2, target.flatten().tolist()
    found = []
    for x, y in zip(input.flatten().tolist(), labels, strict=True):
        near = [math.exp(-((x - other) ** 2) / (2 * noise)) for other in labels]
        share = math.exp(-((x - y) ** 2) / (2 * noise)) / sum(near)
        found.append(-2 * noise * math.log(share))
    return torch.tensor(found, dtype=torch.float64).reshape(input.shape)
