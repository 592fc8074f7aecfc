"""Sample weights: from the shapes that a caller may give to the shape of the rows."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import fail


def per_position(sample_weight: Tensor, input: Tensor, positions: torch.Size) -> Tensor:
    """Sample weights brought to (N[, S])."""
    shape = input.shape[:1] + input.shape[2:]
    if not isinstance(sample_weight, Tensor):
        fail("sample_weight", "a tensor, or numbers for one", repr(sample_weight),
             "use torch.as_tensor(sample_weight)")  # fmt: skip
    if sample_weight.shape == shape:
        return sample_weight.reshape(positions)
    if sample_weight.shape == shape[:1]:
        return sample_weight.reshape([-1] + [1] * (len(positions) - 1)).expand(positions)
    fail(
        "sample_weight",
        f"one number per position, shape {tuple(shape)}, or per sample, shape {tuple(shape[:1])}",
        f"shape {tuple(sample_weight.shape)}",
        "weights per class go into `weight`",
    )


def per_element_weight(sample_weight: Tensor, input: Tensor) -> Tensor:
    """Sample weights brought to a shape that spreads over the elements of the input."""
    if sample_weight.shape == input.shape:
        return sample_weight
    shape = input.shape[:1] + input.shape[2:]
    weights = per_position(sample_weight, input, shape)
    return weights.unsqueeze(1) if input.dim() > 1 else weights


def per_element(sample_weight: Tensor, input: Tensor, logits: Tensor) -> Tensor:
    """Sample weights brought to (N, 1[, S]) or (N, C[, S])."""
    if sample_weight.shape == input.shape and input.dim() > 1:
        return sample_weight.reshape(logits.shape)
    positions = logits.shape[:1] + logits.shape[2:]
    return per_position(sample_weight, input, positions).unsqueeze(1)
