"""The features that logits came from, for losses that ask how long they are."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import computing_dtype


def feature_size(features: Tensor, input: Logits, order: float) -> Tensor:
    """The norm of the features of each position, (N, d1, ...); a constant for autograd."""
    fits = isinstance(features, Tensor) and features.is_floating_point()
    positions = input.shape[:1] + input.shape[2:]
    if input.dim() < 2 or not fits or features.shape[:1] + features.shape[2:] != positions:
        got = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else repr(features)
        expected = "what the last layer is given, floating point (N, D, d1, ...), for input "
        expected += f"(N, C, d1, ...), here {tuple(input.shape)}"
        fail("features", expected, got, "return the features beside the logits")
    dtype = computing_dtype(features)
    size: Tensor = torch.linalg.vector_norm(features.detach(), ord=order, dim=1, dtype=dtype)
    return size
