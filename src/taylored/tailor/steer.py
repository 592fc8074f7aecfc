"""Which way to move the numbers of a loss, by what one step does to validation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Leaves = tuple[Tensor, Tensor, Tensor]
"""Coefficients (J,), tau and temperature."""


def tailored_loss(logits: Tensor, target: Tensor, log_prior: Tensor, numbers: Leaves) -> Tensor:
    """The loss of logits (N, C), differentiable by its numbers as often as wanted."""
    epsilon, tau, temperature = numbers
    log_p = F.log_softmax(logits / temperature + tau * log_prior, dim=1)
    log_p = log_p.gather(1, target.unsqueeze(1)).squeeze(1)
    q = -torch.expm1(log_p)
    powers = torch.arange(1, len(epsilon) + 1, dtype=q.dtype, device=q.device)
    return (-log_p + (epsilon * q.unsqueeze(1) ** powers).sum(dim=1)).mean()


def steered(
    logits: Tensor, direction: Tensor, target: Tensor, log_prior: Tensor, numbers: Leaves
) -> Sequence[Tensor]:
    r"""Derivatives of the validation loss after a step by the numbers of the training loss.

    `direction` is dz, the change of the logits along v (see `taylored.xray.xray`). A step of SGD
    would give

    .. math:: \frac{d L_{val}}{d a} \propto -\frac{\partial}{\partial a} \langle g(a), dz \rangle,
              \qquad g(a) = \partial L(z; a) / \partial z

    Of this the scale of the loss is taken out, :math:`g / |g|` in the place of g: a step of AdamW
    does not depend on it, and otherwise every coefficient would rise because a larger step is
    better for the next moment.
    """
    leaf = logits.detach().requires_grad_()
    with torch.enable_grad():
        value = tailored_loss(leaf, target, log_prior, numbers)
        (slope,) = torch.autograd.grad(value, leaf, create_graph=True)
        gain = (slope * direction).sum() / slope.norm().clamp(min=1e-300)
        return torch.autograd.grad(-gain, numbers)
