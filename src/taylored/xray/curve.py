"""The curve of an X-ray: mean dp over p, for each group of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor

from taylored.core.checks import fail

EDGES: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Bins of p: narrower at both ends, where most samples are."""


@dataclass(frozen=True)
class Bin:
    """The samples of a group whose p lies in a bin.

    Args:
        count: how many there are.
        p: their mean p.
        dp: their mean dp.
        error: standard error of that mean; NaN for one sample.
        total: the sum of dp, what all of them together weigh.

    """

    count: int
    p: float
    dp: float
    error: float
    total: float


@dataclass(frozen=True)
class Curve:
    """Bins of p for each group; None where a group has no sample in a bin.

    Args:
        edges: where the bins begin and end.
        groups: the bins of each group, by name.

    """

    edges: tuple[float, ...]
    groups: dict[str, tuple[Bin | None, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers; what is no number is None."""
        return {
            "edges": list(self.edges),
            "groups": {
                name: [None if each is None else _finite(vars(each)) for each in bins]
                for name, bins in self.groups.items()
            },
        }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: each if math.isfinite(each) else None for name, each in values.items()}


def curve_of(
    p: Tensor, dp: Tensor, group: Tensor, names: Sequence[str], edges: Sequence[float]
) -> Curve:
    """Bins of samples (N,) with their group's number."""
    edges = tuple(edges)
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        fail("edges", "two numbers or more that rise", edges, "use (0, 0.5, 1)")
    place = torch.bucketize(p, torch.tensor(edges[1:-1], dtype=p.dtype, device=p.device))

    def found(number: int, index: int) -> Bin | None:
        inside = (group == number) & (place == index)
        count = int(inside.sum())
        if count == 0:
            return None
        moves = dp[inside]
        error = float(moves.std()) / math.sqrt(count) if count > 1 else math.nan
        return Bin(count, float(p[inside].mean()), float(moves.mean()), error, float(moves.sum()))

    bins = range(len(edges) - 1)
    return Curve(
        edges,
        {name: tuple(found(number, index) for index in bins) for number, name in enumerate(names)},
    )
