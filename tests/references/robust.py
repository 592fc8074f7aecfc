"""Independent float64 references of the noise-robust, multi-label and detection losses.

Naive as those in `references.py`: probabilities, powers and loops, written from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Parameters = dict[str, Any]
Reference = Callable[[Tensor, Tensor, Parameters], Tensor]


# --- functions of p_t -------------------------------------------------------------------------


def generalized_cross_entropy(p: Tensor, parameters: Parameters) -> Tensor:
    """Zhang and Sabuncu 2018, equation 6."""
    q = parameters.get("q", 0.7)
    return -torch.log(p) if q == 0 else (1 - p**q) / q


def symmetric_cross_entropy(p: Tensor, parameters: Parameters) -> Tensor:
    """Wang et al. 2019: -a log p, and -b times the sum of p_k A over the wrong classes."""
    a, b = parameters.get("direct", 0.1), parameters.get("reverse", 1.0)
    return -a * torch.log(p) - b * (1 - p) * parameters.get("log_zero", -4.0)


def jensen_shannon(p: Tensor, parameters: Parameters) -> Tensor:
    """Englesson and Azizpour 2021, equation 4: two outcomes, of which the first is the label."""
    pi = parameters.get("pi", 0.5)
    total = torch.zeros_like(p)
    for label, predicted in ((1.0, p), (0.0, 1 - p)):
        mixture = pi * label + (1 - pi) * predicted
        total = total + (1 - pi) * predicted * torch.log(predicted / mixture)
        if label:
            total = total - pi * torch.log(mixture)
    return total / (-(1 - pi) * math.log(1 - pi))


def by_link(phi: Callable[[Tensor, Parameters], Tensor]) -> Reference:
    def reference(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
        from references import sigmoid_losses, softmax_losses

        softmax = parameters.get("link", "softmax") == "softmax"
        return (softmax_losses if softmax else sigmoid_losses)(phi, logits, target, parameters)

    return reference


# --- elements ---------------------------------------------------------------------------------


def truth(logits: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Truth of every element, and weight times mask."""
    from references import along, is_index, kept_mask, one_hot

    kept = kept_mask(logits, target, parameters, "sigmoid")
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    weight = parameters.get("weight")
    weight = along(1.0 if weight is None else weight, logits)
    return torch.where(kept > 0, y, 0.0), weight * kept


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def entropy(x: Tensor, y: Tensor) -> Tensor:
    return -(y * torch.log(sigmoid(x)) + (1 - y) * torch.log(sigmoid(-x)))


def asymmetric(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ridnik et al. 2021, equation 7."""
    y, coefficient = truth(logits, target, parameters)
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


def asymmetric_single_label(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ridnik et al. 2021, the authors' code; over every class that may be the true one."""
    from references import along, is_index, kept_mask, one_hot

    classes, smoothing = logits.shape[1], parameters.get("label_smoothing", 0.1)
    mass = one_hot(target, classes) if is_index(target, logits) else target.double()
    weight = parameters.get("weight")
    weight = along(1.0 if weight is None else weight, logits)
    exponentials = torch.exp(logits)
    p = exponentials / exponentials.sum(dim=1, keepdim=True)
    total = torch.zeros_like(p)
    for true in range(classes):
        hot = torch.zeros_like(p)
        hot[:, true] = 1.0
        smoothed = hot * (1 - smoothing) + smoothing / classes
        positive = (1 - p) ** parameters.get("gamma_positive", 0.0)
        negative = p ** parameters.get("gamma_negative", 4.0)
        focus = torch.where(hot > 0, positive, negative)
        total = total - mass[:, true : true + 1] * smoothed * focus * torch.log(p) * weight
    return total.sum(dim=1) * kept_mask(logits, target, parameters, "softmax")


def distribution_balanced(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Wu et al. 2020, equations 3 to 9, with the bias and the scale of the authors' code."""
    from references import along

    y, coefficient = truth(logits, target, parameters)
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


def varifocal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Zhang et al. 2021, equation 2."""
    y, coefficient = truth(logits, target, parameters)
    p = sigmoid(logits)
    negative = parameters.get("alpha", 0.75) * p ** parameters.get("gamma", 2.0)
    return coefficient * torch.where(y > 0, y, negative) * entropy(logits, y)


def quality_focal(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2020, equation 3."""
    y, coefficient = truth(logits, target, parameters)
    distance = (y - sigmoid(logits)).abs()
    return coefficient * distance ** parameters.get("beta", 2.0) * entropy(logits, y)


def ghm(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2019, equations 5 to 9, bin by bin."""
    from references import kept_mask

    y, coefficient = truth(logits, target, parameters)
    valid = kept_mask(logits, target, parameters, "sigmoid") > 0
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


ROBUST: dict[str, Reference] = {
    "generalized_cross_entropy": by_link(generalized_cross_entropy),
    "symmetric_cross_entropy": by_link(symmetric_cross_entropy),
    "jensen_shannon": by_link(jensen_shannon),
    "asymmetric": asymmetric,
    "asymmetric_single_label": asymmetric_single_label,
    "distribution_balanced": distribution_balanced,
    "varifocal": varifocal,
    "quality_focal": quality_focal,
    "ghm": ghm,
}
SIGMOID = {"asymmetric", "distribution_balanced", "varifocal", "quality_focal", "ghm"}
"""Losses of this file without a link parameter that are sigmoid."""
