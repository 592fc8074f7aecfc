"""Positions counted through: (N, d1, ...) as one axis, for what goes through them in pieces."""

from __future__ import annotations

import torch
from torch import Tensor

Place = slice | Tensor
"""Some positions: a range of them, or their numbers."""


def singles(values: Tensor, place: Place) -> Tensor:
    """(n,) of (N[, S])."""
    return values.reshape(-1)[place]


def rows(values: Tensor, place: Place) -> Tensor:
    """(n, K) of (N, K) or (N, K, S), without a copy of the rest."""
    if values.dim() == 2:
        return values[place]
    if isinstance(place, slice):
        place = torch.arange(place.start, place.stop, device=values.device)
    inner = values.shape[2]
    return values.movedim(1, -1)[place // inner, place % inner]
