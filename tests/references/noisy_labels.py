"""References of the losses of `losses/noisy_labels`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from references.formulas import Parameters, one_hot, softmax
from references.registry import reference, reference_of_p_t


@reference_of_p_t("generalized_cross_entropy")
def generalized_cross_entropy(p: Tensor, parameters: Parameters) -> Tensor:
    """Zhang and Sabuncu 2018, equation 6."""
    q = parameters.get("q", 0.7)
    return -torch.log(p) if q == 0 else (1 - p**q) / q


@reference_of_p_t("symmetric_cross_entropy")
def symmetric_cross_entropy(p: Tensor, parameters: Parameters) -> Tensor:
    """Wang et al. 2019: -a log p, and -b times the sum of p_k A over the wrong classes."""
    a, b = parameters.get("direct", 0.1), parameters.get("reverse", 1.0)
    return -a * torch.log(p) - b * (1 - p) * parameters.get("log_zero", -4.0)


@reference_of_p_t("jensen_shannon")
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


@reference("generalized_jensen_shannon")
def generalized_jensen_shannon(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Englesson and Azizpour 2021, equation 5: label and views, each against the mixture."""
    pi = parameters.get("pi", 0.5)
    p, y = softmax(logits, 2), one_hot(target, logits.shape[2])
    parts = [(pi, y), *[((1 - pi) / len(p), view) for view in p]]
    mixture = sum(weight * part for weight, part in parts)
    total = torch.zeros_like(y[:, 0])
    for weight, part in parts:
        inside = torch.where(part > 0, part, 1.0)
        each = torch.where(part > 0, part * torch.log(inside / mixture), 0.0)
        total = total + weight * each.sum(dim=1)
    return total / (-(1 - pi) * math.log(1 - pi))
