"""A batch of embeddings, of which every one is compared with every other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """Cosines of all pairs, and which pairs there are; (N, N), the anchors along axis 0.

    Attributes:
        cosine: of the two embeddings, in [-1, 1] but for rounding.
        same: whether the two are different samples of one class.
        other: whether they are of two classes. Ignored samples are in no pair.
    """

    cosine: Tensor
    same: Tensor
    other: Tensor

    @classmethod
    def of(cls, embeddings: Tensor, labels: Tensor, ignore_index: int | None) -> Pairs:
        """The pairs of a batch, (N, D) and (N,)."""
        counted = torch.ones_like(labels, dtype=torch.bool)
        if ignore_index is not None:
            counted = labels != ignore_index
        # What is ignored may hold NaN, which would spread over its row and column.
        safe = torch.where(counted.unsqueeze(1), embeddings, 1.0)
        units = directions(safe)
        both = counted.unsqueeze(0) & counted.unsqueeze(1)
        equal = labels.unsqueeze(0) == labels.unsqueeze(1)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        return cls(units @ units.T, both & equal & ~itself, both & ~equal)

    @property
    def squared_distance(self) -> Tensor:
        """Of the two directions: 2 - 2 cos, in [0, 4]."""
        return (2.0 - 2.0 * self.cosine).clamp_min(0.0)

    @property
    def distance(self) -> Tensor:
        """Of the two directions, in [0, 2]; without a gradient where they are the same."""
        square = self.squared_distance
        alike = square <= torch.finfo(square.dtype).eps
        return torch.where(alike, 0.0, torch.sqrt(torch.where(alike, 1.0, square)))


def directions(vectors: Tensor, shortest: float = 0.0) -> Tensor:
    """Each vector of the last axis at length one; zeros stay zeros.

    A vector with no entry larger than `shortest` has no direction.
    """
    # A direction does not depend on the length: divided by a constant first, no square overflows.
    size = vectors.detach().abs().amax(dim=-1, keepdim=True)
    nothing = size <= shortest
    scaled = torch.where(nothing, 1.0, vectors / torch.where(nothing, 1.0, size))
    units = scaled / torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return torch.where(nothing, 0.0, units)


def log_sum_exp(values: Tensor, where: Tensor) -> Tensor:
    """log sum exp over the pairs of each anchor that are meant; -inf where there is none."""
    none = ~where.any(dim=1)
    # A row of nothing but -inf has derivatives that are NaN.
    kept = torch.where(where | none.unsqueeze(1), values, -torch.inf)
    return torch.where(none, -torch.inf, torch.logsumexp(kept, dim=1))


def mean_of(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the pairs of each anchor that are meant; 0 where there is none."""
    count = where.sum(dim=1)
    return torch.where(where, values, 0.0).sum(dim=1) / count.clamp_min(1)
