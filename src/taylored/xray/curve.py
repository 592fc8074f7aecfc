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
ANSWER_EDGES: Final = (
    *(0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    *(0.5, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999, 0.9997, 1.0),
)
"""Bins of p for a yes or no: most labels are rare, and p of their negatives is next to 1."""


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


def bin_sums(p: Tensor, dp: Tensor, group: Tensor, groups: int, edges: Sequence[float]) -> Tensor:
    """Samples (N,) of each group and bin: how many, and the sums of p, dp and dp^2, (4, G, B)."""
    edges = tuple(edges)
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        fail("edges", "two numbers or more that rise", edges, "use (0, 0.5, 1)")
    bins = len(edges) - 1
    inner = torch.tensor(edges[1:-1], dtype=p.dtype, device=p.device)
    place = group * bins + torch.bucketize(p, inner)
    return torch.stack(
        [
            torch.bincount(place, weights=each, minlength=groups * bins)
            for each in (torch.ones_like(p), p, dp, dp.square())
        ]
    ).reshape(4, groups, bins)


def curve_of(sums: Tensor, names: Sequence[str], edges: Sequence[float]) -> Curve:
    """The curve of such sums."""

    def found(count: float, p: float, dp: float, squares: float) -> Bin | None:
        if count == 0:
            return None
        spread = max(0.0, squares - dp * dp / count)  # rounding may leave less than nothing
        error = math.sqrt(spread / (count - 1) / count) if count > 1 else math.nan
        return Bin(int(count), p / count, dp / count, error, dp)

    columns = sums.permute(1, 2, 0).tolist()
    return Curve(
        tuple(edges),
        {
            name: tuple(found(*each) for each in bins)
            for name, bins in zip(names, columns, strict=True)
        },
    )
