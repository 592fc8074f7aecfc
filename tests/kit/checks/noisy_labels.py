"""Checks of single noise-robust losses by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kit.elements import CLASSES, LOGITS, C, gradient_of
from kit.tolerances import close
from taylored import GeneralizedCrossEntropyLoss, JensenShannonLoss


def check_generalized_gradient() -> None:
    """p_t^q (p - y), over the batch."""
    loss = GeneralizedCrossEntropyLoss(q=0.7, reduction="sum")
    p, hot = torch.softmax(LOGITS, dim=1), F.one_hot(CLASSES, C)
    p_t = (p * hot).sum(dim=1, keepdim=True)
    close(gradient_of(loss, CLASSES), p_t**0.7 * (p - hot))


def check_divergence(pi: float) -> None:
    """pi KL(y || m) + (1 - pi) KL(p || m) over all classes, normalised."""
    p, y = torch.softmax(LOGITS, dim=1), F.one_hot(CLASSES, C).double()
    m = pi * y + (1 - pi) * p
    label = torch.where(y > 0, y * (torch.where(y > 0, y, 1.0) / m).log(), 0.0).sum(dim=1)
    predicted = (p * (p / m).log()).sum(dim=1)
    norm = -(1 - pi) * torch.log(torch.tensor(1 - pi, dtype=torch.float64))
    loss = JensenShannonLoss(pi=pi, reduction="none")
    close(loss(LOGITS, CLASSES), (pi * label + (1 - pi) * predicted) / norm)
