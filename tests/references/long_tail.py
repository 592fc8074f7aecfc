"""Independent float64 references of the losses that use class counts, from their papers.

Naive as those in `references.py`: probabilities, powers and loops, no logarithms of priors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Parameters = dict[str, Any]


def counted(parameters: Parameters) -> Tensor:
    """Samples per class; a class without any counts as one."""
    return torch.tensor([max(1.0, float(n)) for n in parameters["counts"]], dtype=torch.float64)


def spread(values: Tensor, logits: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (logits.dim() - 2))


def cross_entropy_with(
    factors: Tensor, logits: Tensor, target: Tensor, parameters: Parameters
) -> Tensor:
    """Cross-entropy with the exponentials multiplied by a factor per class."""
    from references import along, is_index, kept_mask, one_hot

    masses = spread(factors, logits) * torch.exp(logits)
    p = masses / masses.sum(dim=1, keepdim=True)
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    smoothing = parameters.get("label_smoothing", 0.0)
    y = y * (1 - smoothing) + smoothing / logits.shape[1]
    weight = parameters.get("weight")
    weight = along(1.0 if weight is None else weight, logits)
    losses = -(weight * y * torch.log(p)).sum(dim=1)
    return losses * kept_mask(logits, target, parameters, "softmax")


def logit_adjusted(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Menon et al. 2021: softmax cross-entropy with prior^tau as factors."""
    n = counted(parameters)
    return cross_entropy_with(
        (n / n.sum()) ** parameters.get("tau", 1.0), logits, target, parameters
    )


def balanced_softmax(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Ren et al. 2020: the counts themselves as factors."""
    return cross_entropy_with(counted(parameters), logits, target, parameters)


def vector_scaling(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Kini et al. 2021: logits over (largest n / n)^gamma, plus tau log prior."""
    n = counted(parameters)
    delta = (n.max() / n) ** parameters.get("gamma", 0.3)
    prior = (n / n.sum()) ** parameters.get("tau", 1.0)
    return cross_entropy_with(prior, logits / spread(delta, logits), target, parameters)


def ldam(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cao et al. 2019; the expected loss over the classes that could be the truth."""
    from references import along, is_index, kept_mask, one_hot

    n, s = counted(parameters), parameters.get("scale", 30.0)
    margins = 1 / torch.sqrt(torch.sqrt(n))
    margins = margins * parameters.get("max_m", 0.5) / margins.max()
    classes, smoothing = logits.shape[1], parameters.get("label_smoothing", 0.0)
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / classes
    weight = parameters.get("weight")
    y = y * along(1.0 if weight is None else weight, logits)
    losses = torch.zeros_like(logits[:, 0])
    for truth in range(classes):
        moved = s * (logits - spread(margins * (torch.arange(classes) == truth), logits))
        losses = losses - y[:, truth] * torch.log_softmax(moved, dim=1)[:, truth]
    return losses * kept_mask(logits, target, parameters, "softmax")


def seesaw(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Wang et al. 2021, one matrix of mitigation factors and one of compensation factors."""
    from references import along, kept_mask, one_hot

    n, classes = counted(parameters), logits.shape[1]
    mitigation = torch.clamp(n.unsqueeze(0) / n.unsqueeze(1), max=1.0) ** parameters.get("p", 0.8)
    p = torch.softmax(logits.detach(), dim=1)
    weight = parameters.get("weight")
    y = one_hot(target, classes) * along(1.0 if weight is None else weight, logits)
    losses = torch.zeros_like(logits[:, 0])
    for truth in range(classes):
        reached = p[:, truth].clamp(min=0.01).unsqueeze(1)
        factors = spread(mitigation[truth], logits)
        factors = factors * torch.clamp(p / reached, min=1.0) ** parameters.get("q", 2.0)
        own = spread((torch.arange(classes) == truth).double(), logits)
        masses = torch.exp(logits) * (own + (1 - own) * factors)
        losses = losses - y[:, truth] * torch.log(masses[:, truth] / masses.sum(dim=1))
    return losses * kept_mask(logits, target, parameters, "softmax")


def deferred_weights(parameters: Parameters) -> Tensor:
    """Ones until the training is `start` far, and it has just begun."""
    from references import class_balanced_weights

    counts = [max(1, n) for n in parameters["counts"]]
    if parameters.get("start", 0.8) > 0:
        return torch.ones(len(counts), dtype=torch.float64)
    return class_balanced_weights(counts, parameters.get("beta", 0.9999))


def deferred(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Cao et al. 2019: the inner loss with the weights of this moment."""
    from references import losses_of

    weighted = parameters["loss"].having(weight=deferred_weights(parameters).tolist())
    return losses_of(weighted, logits, target)


PRIOR: dict[str, Callable[[Tensor, Tensor, Parameters], Tensor]] = {
    "logit_adjusted": logit_adjusted,
    "balanced_softmax": balanced_softmax,
    "vector_scaling": vector_scaling,
    "ldam": ldam,
    "deferred": deferred,
    "seesaw": seesaw,
}
