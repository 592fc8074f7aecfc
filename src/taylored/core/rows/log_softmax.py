"""Cross-entropy of each position, for losses that add something to it or move its logits."""

from __future__ import annotations

import torch
from torch import Tensor


def cross_entropy_of(z: Tensor, y: Tensor) -> Tensor:
    """-sum_k y_k log p_k; a class at -inf without mass costs nothing."""
    log_p = torch.log_softmax(z, 1)
    return -(y * torch.where(y == 0, 0.0, log_p)).sum(1)
