"""References of the losses of `losses/multi_label`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.formulas import (
    Parameters,
    along,
    elements,
    nll,
    sigmoid,
    sigmoid_losses,
)
from references.registry import reference


@reference("asymmetric")
def asymmetric(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ridnik et al. 2021, equation 7."""
    y, coefficient = elements(logits, target, parameters)
    smoothing = parameters.get("label_smoothing", 0.0)
    y = y * (1 - smoothing) + smoothing / 2
    p = sigmoid(logits)
    shifted = (p - parameters.get("margin", 0.05)).clamp(min=0)
    if parameters.get("margin", 0.05) == 0:
        log_rest = torch.log(sigmoid(-logits))
    else:
        log_rest = torch.log(1 - shifted)
    yes = -((1 - p) ** parameters.get("gamma_positive", 1.0)) * torch.log(p)
    power = torch.where(shifted > 0, shifted, 1.0) ** parameters.get("gamma_negative", 4.0)
    no = -torch.where(shifted > 0, power, 0.0) * log_rest
    return coefficient * (y * yes + (1 - y) * no)


@reference("distribution_balanced")
def distribution_balanced(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Wu et al. 2020, equations 3 to 9, with the bias and the scale of the authors' code."""
    y, coefficient = elements(logits, target, parameters)
    counts = [max(1.0, float(n)) for n in parameters["counts"]]
    samples = parameters.get("num_samples")
    samples = max(2.0, sum(parameters["counts"]) if samples is None else samples)
    rates = along([1 / n for n in counts], logits)
    present = (y * rates).sum(dim=1, keepdim=True)
    share = rates / present  # inf for a row without positives
    weight = 1 / (
        1 + torch.exp(-parameters.get("beta", 10.0) * (share - parameters.get("mu", 0.2)))
    )
    weight = parameters.get("floor", 0.1) + torch.where(present > 0, weight, 1.0)
    scale = parameters.get("negative_scale", 2.0)
    odds = [samples / min(n, samples - 1) - 1 for n in counts]
    bias = along([-math.log(o) * parameters.get("kappa", 0.05) / scale for o in odds], logits)
    gamma = parameters.get("gamma", 2.0)
    shifted = logits + bias
    yes = -(sigmoid(-shifted) ** gamma) * torch.log(sigmoid(shifted))
    no = -(sigmoid(scale * shifted) ** gamma) * torch.log(sigmoid(-scale * shifted)) / scale
    return coefficient * weight * (y * yes + (1 - y) * no)


@reference("hill")
def hill(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Zhang et al. 2021: positives at x - m, negatives (lambda - p) p^2."""
    y, coefficient = elements(logits, target, parameters)
    smoothing = parameters.get("label_smoothing", 0.0)
    y = y * (1 - smoothing) + smoothing / 2
    p, moved = sigmoid(logits), sigmoid(logits - parameters.get("margin", 1.0))
    yes = -((1 - moved) ** parameters.get("gamma", 2.0)) * torch.log(moved)
    no = (parameters.get("limit", 1.5) - p) * p**2
    return coefficient * (y * yes + (1 - y) * no)


@reference("zlpr")
def zlpr(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y = target.double()
    above, below = ((1 - y) * logits.exp()).sum(1), (y * (-logits).exp()).sum(1)
    return torch.log(1 + above) + torch.log(1 + below)


@reference("federated")
def federated(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Where every class counts; the draw has tests of its own."""
    assert parameters["num_sampled"] >= logits.shape[1]
    return sigmoid_losses(nll, logits, target, parameters)


@reference("multi_label_margin")
def multi_label_margin(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    y, kept = elements(logits, target, parameters)
    total = torch.zeros_like(logits[:, 0])
    for i in range(logits.shape[1]):
        for j in range(logits.shape[1]):
            meant = (y[:, i] > 0.5) & (y[:, j] <= 0.5) & (kept[:, i] > 0) & (kept[:, j] > 0)
            short = torch.relu(parameters.get("margin", 1.0) - logits[:, i] + logits[:, j])
            total = total + torch.where(meant, short, 0.0)
    return total / (kept > 0).sum(1).clamp_min(1)


@reference("label_ranking")
def label_ranking(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """One row and one pair at a time."""
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    truth = target.movedim(1, -1).reshape(rows.shape)
    found = []
    for z, y in zip(rows, truth, strict=True):
        pairs = [b - a for a in z[y > 0.5] for b in z[(y >= 0) & (y <= 0.5)]]
        lead = torch.stack(pairs) if pairs else z[:0]
        wrong = parameters.get("pairs", "logistic") == "wrong"
        costs = (lead >= 0).double() + 0 * lead if wrong else torch.log(1 + torch.exp(lead))
        found.append(costs.sum() / max(1, len(pairs)))
    return torch.stack(found).reshape(logits.shape[:1] + logits.shape[2:])


@reference("splc")
def splc(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Zhang et al. 2021: at progress 0, corrected only where that is late enough."""
    y, coefficient = elements(logits, target, parameters)
    gamma, tau = parameters.get("gamma", 2.0), parameters.get("tau", 0.6)
    p, marked = sigmoid(logits), sigmoid(logits - parameters.get("margin", 1.0))
    yes, missing = (-((1 - each) ** gamma) * torch.log(each) for each in (marked, p))
    no = -(p**gamma) * torch.log(sigmoid(-logits))
    corrected = (p > tau) & (parameters.get("start", 0.01) == 0)
    return coefficient * (y * yes + (1 - y) * torch.where(corrected, missing, no))
