"""References of likelihoods and divergences."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.formulas import Parameters
from references.registry import reference


@reference("poisson_nll")
def poisson_nll(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    rate = input if parameters.get("predicts") == "rate" else input.exp()
    values = rate - target * torch.log(rate)
    if parameters.get("constant") == "included":
        values = values + torch.tensor(
            [math.log(math.gamma(y + 1)) for y in target.flatten().tolist()], dtype=torch.float64
        ).reshape(target.shape)
    return values


@reference("gaussian_nll")
def gaussian_nll(input: Tensor, target: Tensor, variance: Tensor, parameters: Parameters) -> Tensor:
    v = variance.clamp_min(parameters.get("smallest", 1e-6))
    density = torch.exp(-((input - target) ** 2) / (2 * v)) / (2 * math.pi * v).sqrt()
    constant = 0.0 if parameters.get("constant") == "included" else 0.5 * math.log(2 * math.pi)
    return -torch.log(density) - constant


@reference("kl_divergence")
def kl_divergence(input: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    t = parameters.get("temperature", 1.0)
    q, form = _softmax(input / t), parameters.get("target_form", "probabilities")
    p = {"probabilities": target, "log_probabilities": target.exp()}.get(form)
    p = _softmax(target / t) if p is None else p
    first, second = (p, q) if parameters.get("direction") != "model_to_target" else (q, p)
    return t**2 * (first * torch.log(first / second)).sum(-1)


def _softmax(z: Tensor) -> Tensor:
    return z.exp() / z.exp().sum(-1, keepdim=True)
