"""All positions (N, d1, ...) as one axis, for code that takes some of them at a time."""

from __future__ import annotations

import torch
from torch import Tensor

Positions = slice | Tensor
"""Some of the positions: a range, or their numbers."""


def values_at(values: Tensor, place: Positions) -> Tensor:
    """The values at some positions, (n,), of (N[, S])."""
    return values.reshape(-1)[place]


def rows_at(values: Tensor, place: Positions) -> Tensor:
    """The rows at some positions, (n, K), of (N, K) or (N, K, S), without a copy of the others."""
    if values.dim() == 2:
        return values[place]
    if isinstance(place, slice):
        place = torch.arange(place.start, place.stop, device=values.device)
    inner = values.shape[2]
    return values.movedim(1, -1)[place // inner, place % inner]
