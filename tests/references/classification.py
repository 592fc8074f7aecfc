"""References of the losses of `losses/classification`."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import (
    Parameters,
    along,
    class_weight,
    is_index,
    kept_mask,
    nll,
    one_hot,
    sigmoid_losses,
    softmax,
)
from references.registry import reference, reference_of_p_t

reference_of_p_t("cross_entropy")(nll)
reference_of_p_t("binary_cross_entropy")(nll)


@reference("balanced_cross_entropy")
def balanced_cross_entropy(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    return sigmoid_losses(nll, logits, target, {"alpha": 0.5, **parameters})


@reference_of_p_t("focal")
def focal(p: Tensor, parameters: Parameters) -> Tensor:
    """Lin et al. 2017, equation 4."""
    return -((1 - p) ** along(parameters.get("gamma", 2.0), p)) * torch.log(p)


@reference_of_p_t("poly")
def poly(p: Tensor, parameters: Parameters) -> Tensor:
    """Leng et al. 2022, equations 5 to 7."""
    epsilon, gamma = parameters.get("epsilon", 1.0), parameters.get("gamma", 0.0)
    total = -((1 - p) ** gamma) * torch.log(p)
    for j, step in enumerate(epsilon if isinstance(epsilon, (list, tuple)) else [epsilon], 1):
        total = total + step * (1 - p) ** (gamma + j)
    return total


@reference_of_p_t("taylor")
def taylor(p: Tensor, parameters: Parameters) -> Tensor:
    """Feng et al. 2020; Drop-N of Leng et al. 2022."""
    total = torch.zeros_like(p)
    for j in range(1, parameters.get("num_terms", 2) + 1):
        total = total + (1 - p) ** j / j
    return total


@reference_of_p_t("series")
def series(p: Tensor, parameters: Parameters) -> Tensor:
    """Leng et al. 2022, equation 1."""
    total = torch.zeros_like(p)
    for j, coefficient in enumerate(parameters.get("coefficients", [1.0]), 1):
        total = total + coefficient * (1 - p) ** j
    return total


@reference("asymmetric_single_label")
def asymmetric_single_label(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ridnik et al. 2021, the authors' code; over every class that may be the true one."""
    classes, smoothing = logits.shape[1], parameters.get("label_smoothing", 0.1)
    mass = one_hot(target, classes) if is_index(target, logits) else target.double()
    weight = class_weight(parameters, logits)
    p = softmax(logits)
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


@reference_of_p_t("probability_power")
def probability_power(p: Tensor, parameters: Parameters) -> Tensor:
    return 1 - p ** parameters.get("power", 1.0)


@reference_of_p_t("dft")
def dft(p: Tensor, parameters: Parameters) -> Tensor:
    return -p.detach() * torch.log(p)
