"""Exact Euclidean distances to a region, by one pass of minima for each axis; no gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_AT_ONCE = 1 << 22
"""Sums that are compared at once: 16 MB in float32."""


@torch.no_grad()
def signed_distance(region: Tensor, dtype: torch.dtype) -> Tensor:
    """Distances of (N, C, d1, ...) to the region: positive outside, 0 or less inside.

    A position at the border is 0 inside and 1 outside, as in the code of Kervadec et al. Where
    everything or nothing belongs to the region there is no border, and the map is 0.
    """
    outside, inside = distance_to(region, dtype), distance_to(~region, dtype)
    return _with_border(torch.where(region, 1.0 - inside, outside), region)


@torch.no_grad()
def border_distance(region: Tensor, dtype: torch.dtype) -> Tensor:
    """Distances to the nearest position on the other side; 0 where there is none at all."""
    inside, outside = distance_to(~region, dtype), distance_to(region, dtype)
    return _with_border(torch.where(region, inside, outside), region)


def _with_border(distance: Tensor, region: Tensor) -> Tensor:
    axes = tuple(range(2, region.dim()))
    both = region.any(dim=axes, keepdim=True) & (~region).any(dim=axes, keepdim=True)
    return torch.where(both, distance, 0.0)


def distance_to(region: Tensor, dtype: torch.dtype) -> Tensor:
    """The distance of every position of (N, C, d1, ...) to the region; inf if it is empty."""
    squares = torch.where(region, 0.0, math.inf).to(torch.float32)
    for axis in range(2, region.dim()):
        squares = _along(squares.movedim(axis, -1)).movedim(-1, axis)
    return squares.to(dtype).sqrt()  # whole numbers, which float32 has up to 4000 squared


def _along(squares: Tensor) -> Tensor:
    """The least of squares[j] + (i - j)^2 over j, for every i on the last axis."""
    length = squares.shape[-1]
    places = torch.arange(length, dtype=squares.dtype, device=squares.device)
    steps = (places.unsqueeze(1) - places).square()
    rows = squares.reshape(-1, length)
    some = max(1, _AT_ONCE // max(1, length * length))
    found = [(part.unsqueeze(1) + steps).amin(dim=2) for part in rows.split(some)]
    return torch.cat(found).reshape(squares.shape)
