"""Logits and targets of every kind for nine samples and five classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N, C = 9, 5


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(shape, generator=generator, dtype=torch.float64)


LOGITS = draw(N, C)
CLASSES = torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))
HOT = F.one_hot(CLASSES, C).double()
HARD = (draw(N, C, seed=2) > 0).double()
"""Multi-hot."""
SCORES = torch.sigmoid(draw(N, C, seed=3)) * HARD


def gradient_of(loss: nn.Module, target: Tensor, logits: Tensor = LOGITS) -> Tensor:
    z = logits.clone().requires_grad_()
    loss(z, target).backward()
    return z.grad


def agree(ours: object, theirs: object, logits: Tensor = LOGITS, rtol: float = 1e-9) -> None:
    """Two functions of logits, and their gradients."""
    a, b = (logits.clone().requires_grad_() for _ in range(2))
    left, right = ours(a), theirs(b)
    torch.testing.assert_close(left, right.to(left), rtol=rtol, atol=rtol * 1e-3)
    left.sum().backward()
    right.sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=rtol, atol=rtol * 1e-3)
