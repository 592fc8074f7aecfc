"""References of the losses of `losses/margins`: logits moved and scaled by class."""

from __future__ import annotations

import torch
from torch import Tensor

from references.formulas import Parameters, along, class_weight, is_index, kept_mask, one_hot
from references.long_tail import counted, cross_entropy_with
from references.registry import losses_of, reference


@reference("logit_adjusted")
def logit_adjusted(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Menon et al. 2021: softmax cross-entropy with prior^tau as factors."""
    n = counted(parameters)
    return cross_entropy_with(
        (n / n.sum()) ** parameters.get("tau", 1.0), logits, target, parameters
    )


@reference("balanced_softmax")
def balanced_softmax(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ren et al. 2020: the counts themselves as factors."""
    return cross_entropy_with(counted(parameters), logits, target, parameters)


@reference("adjusted")
def adjusted(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Menon et al. 2021, of any term: the inner loss of logits over T, plus tau log prior."""
    n = counted(parameters)
    prior = parameters.get("tau", 1.0) * torch.log(n / n.sum())
    moved = logits / parameters.get("temperature", 1.0) + along(prior, logits)
    return losses_of(parameters["loss"], moved, target)


@reference("vector_scaling")
def vector_scaling(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Kini et al. 2021: logits over (largest n / n)^gamma, plus tau log prior."""
    n = counted(parameters)
    delta = (n.max() / n) ** parameters.get("gamma", 0.3)
    prior = (n / n.sum()) ** parameters.get("tau", 1.0)
    return cross_entropy_with(prior, logits / along(delta, logits), target, parameters)


@reference("ldam")
def ldam(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cao et al. 2019."""
    margins = 1 / torch.sqrt(torch.sqrt(counted(parameters)))
    margins = margins * parameters.get("max_m", 0.5) / margins.max()
    return with_margins(margins, logits, target, parameters.get("scale", 30.0), parameters)


def with_margins(
    margins: Tensor, logits: Tensor, target: Tensor, s: float, parameters: Parameters
) -> Tensor:
    """Margins off the true logit; the expected loss over the classes that could be the truth."""
    classes, smoothing = logits.shape[1], parameters.get("label_smoothing", 0.0)
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / classes
    y = y * class_weight(parameters, logits)
    losses = torch.zeros_like(logits[:, 0])
    for truth in range(classes):
        moved = s * (logits - along(margins * (torch.arange(classes) == truth), logits))
        losses = losses - y[:, truth] * torch.log_softmax(moved, dim=1)[:, truth]
    return losses * kept_mask(logits, target, parameters, "softmax")


@reference("kps")
def kps(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2022, class by class; counts of which no two are alike."""
    n, s = counted(parameters), parameters.get("scale", 30.0)
    factors = torch.log(n * (50 / n.min()))
    factors = factors / factors.min()
    ranked = sorted(range(len(n)), key=lambda k: -float(n[k]))
    margins = torch.zeros_like(n)
    for place, k in enumerate(ranked):
        margins[k] = factors[ranked[-1 - place]]
    margins = margins * (parameters.get("max_m", 0.5) / margins.max())
    return with_margins(margins, logits * along(factors, logits), target, s, parameters)


@reference("gcl")
def gcl(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Li et al. 2022, after the draws."""
    assert parameters["noise"] == 0
    margins = torch.full_like(counted(parameters), parameters.get("margin", 0.0))
    return with_margins(margins, logits, target, parameters["scale"], parameters)
