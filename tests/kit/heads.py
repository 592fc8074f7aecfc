"""Linear heads: their features, weight and bias, and a loss of them with all its gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WIDTH = 3
Parts = tuple[Tensor, Tensor, Tensor]


def parts(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Parts:
    """Features, weight and bias of a head whose logits have a shape."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*size: int) -> Tensor:
        values = torch.randn(size, generator=generator, dtype=torch.float64)
        return values.to(dtype).requires_grad_()

    return drawn(shape[0], *shape[2:], WIDTH), drawn(shape[1], WIDTH), drawn(shape[1])


def by_hand(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(features, weight, bias).movedim(-1, 1)


def found(value: Tensor, wanted: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The value, and gradients of a sum in which every entry weighs something else."""
    weights = torch.linspace(0.5, 2.0, max(1, value.numel()), dtype=value.dtype)
    gradients = torch.autograd.grad((value * weights.reshape(value.shape)).sum(), wanted)
    return value.detach(), *gradients
