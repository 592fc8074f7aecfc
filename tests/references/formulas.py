"""What the references share: probabilities, targets, and the sums of the two links.

Naive on purpose: exp, sums and loops, no stable forms, nothing from the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Parameters = dict[str, Any]
Phi = Callable[[Tensor, Parameters], Tensor]
"""The loss of a probability, given the parameters."""


# --- classes and targets ----------------------------------------------------------------------


def along(values: object, logits: Tensor) -> Tensor:
    """A number, or one per class, to broadcast along axis 1."""
    values = torch.as_tensor(values, dtype=torch.float64)
    return values.reshape(-1, *[1] * (logits.dim() - 2)) if values.dim() else values


def one_hot(target: Tensor, classes: int) -> Tensor:
    return torch.stack([(target == c).double() for c in range(classes)], dim=1)


def is_index(target: Tensor, logits: Tensor) -> bool:
    return target.dim() == logits.dim() - 1 and not target.is_floating_point()


def kept_mask(logits: Tensor, target: Tensor, parameters: Parameters, link: str) -> Tensor:
    """1 where something counts: per position for indices, per element for the sigmoid link."""
    ignore = parameters.get("ignore_index", -100)
    if is_index(target, logits):
        kept = torch.ones_like(target) if ignore is None else (target != ignore)
        kept = kept.double()
        return kept if link == "softmax" else kept.unsqueeze(1).expand(logits.shape)
    if link == "softmax":
        return torch.ones_like(logits.sum(1))
    if ignore is None or target.dtype == torch.bool:
        return torch.ones_like(logits)
    return (target != ignore).double()


def class_weight(parameters: Parameters, logits: Tensor) -> Tensor:
    """`weight`, one where there is none, to broadcast along axis 1."""
    weight = parameters.get("weight")
    return along(1.0 if weight is None else weight, logits)


def elements(logits: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Truth of every element, and weight times mask: for the sigmoid link."""
    kept = kept_mask(logits, target, parameters, "sigmoid")
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    return torch.where(kept > 0, y, 0.0), class_weight(parameters, logits) * kept


# --- probabilities ----------------------------------------------------------------------------


def softmax(logits: Tensor, axis: int = 1) -> Tensor:
    exponentials = torch.exp(logits)
    return exponentials / exponentials.sum(dim=axis, keepdim=True)


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def entropy(x: Tensor, y: Tensor) -> Tensor:
    return -(y * torch.log(sigmoid(x)) + (1 - y) * torch.log(sigmoid(-x)))


def nll(p: Tensor, parameters: Parameters) -> Tensor:
    return -torch.log(p)


# --- links ------------------------------------------------------------------------------------


def softmax_losses(phi: Phi, logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """Sum over the classes of weight * target mass * phi(p), per position."""
    classes, smoothing = logits.shape[1], parameters.get("label_smoothing", 0.0)
    p = softmax(logits)
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = y * (1 - smoothing) + smoothing / classes
    losses = (class_weight(parameters, logits) * y * phi(p, parameters)).sum(dim=1)
    return losses * kept_mask(logits, target, parameters, "softmax")


def sigmoid_losses(phi: Phi, logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
    """a y phi(p) + b (1 - y) phi(1 - p), per element."""
    smoothing, alpha = parameters.get("label_smoothing", 0.0), parameters.get("alpha")
    kept = kept_mask(logits, target, parameters, "sigmoid")
    y = one_hot(target, logits.shape[1]) if is_index(target, logits) else target.double()
    y = torch.where(kept > 0, y, 0.0)
    y = y * (1 - smoothing) + smoothing / 2
    positive = negative = class_weight(parameters, logits)
    if alpha is not None:
        positive, negative = positive * along(alpha, logits), negative * (1 - along(alpha, logits))
    if parameters.get("pos_weight") is not None:
        positive = positive * along(parameters["pos_weight"], logits)
    p = 1 / (1 + torch.exp(-logits))
    opposite = 1 / (1 + torch.exp(logits))
    yes = positive * y * phi(p, parameters)
    no = negative * (1 - y) * phi(opposite, parameters)
    return (yes + no) * kept
