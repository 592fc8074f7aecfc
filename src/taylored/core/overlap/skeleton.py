"""Soft skeletons: what is left of a region when it is opened again and again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def soft_skeleton(volume: Tensor, iterations: int) -> Tensor:
    """The soft skeleton of (N, C, d1, ...) with one to three axes (Shit et al. 2021, algorithm 1).

    A ridge that is thinner than 2 * iterations + 1 is found whole.
    """
    skeleton = F.relu(volume - _opened(volume))
    for _ in range(iterations):
        volume = _eroded(volume)
        ridge = F.relu(volume - _opened(volume))
        skeleton = skeleton + F.relu(ridge - skeleton * ridge)
    return skeleton


def _opened(volume: Tensor) -> Tensor:
    axes = volume.dim() - 2
    return _pooled(_eroded(volume), (3,) * axes)


def _eroded(volume: Tensor) -> Tensor:
    """The least value of each position and its neighbours along every axis."""
    axes = volume.dim() - 2
    found = [
        -_pooled(-volume, tuple(3 if axis == along else 1 for axis in range(axes)))
        for along in range(axes)
    ]
    least = found[0]
    for each in found[1:]:
        least = torch.minimum(least, each)
    return least


def _pooled(volume: Tensor, window: tuple[int, ...]) -> Tensor:
    around = tuple(size // 2 for size in window)
    result: Tensor = _POOL[len(window)](volume, window, stride=1, padding=around)
    return result
