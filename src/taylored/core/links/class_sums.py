"""Absolute logit gradients per class, added up while the sweep has the gradients at hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.numerics import widest_dtype


class ClassSums:
    """The sums that a caller gets from the sweeps of one call: usually one, or one per chunk."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits
        self._total: Tensor | None = None

    def add(self, total: Tensor) -> None:
        """Take the (2, C) sums of one sweep, which may be written to afterwards."""
        self._total = total if self._total is None else self._total.add_(total)

    def total(self) -> Tensor:
        """The sums of all sweeps, (2, C): where the class is the truth, and where it is not."""
        if self._total is None:
            classes, dtype = self._logits.shape[1], widest_dtype(self._logits.device)
            self._total = self._logits.new_zeros(2, classes, dtype=dtype)
        return self._total


@dataclass(frozen=True, eq=False)
class RunningSums:
    """The sums of one sweep, added up piece by piece; every method changes them in place.

    Attributes:
        positive: (C,) of the class where it is the truth.
        negative: (C,) of the class where it is not.
        unsigned: whether the gradients that are added have no sign, and may be overwritten.
    """

    positive: Tensor
    negative: Tensor
    unsigned: bool

    @classmethod
    def of(cls, logits: Tensor, *, unsigned: bool = False) -> RunningSums:
        """Zeros, for logits of shape (N, C) or (N, C, S).

        A float32 stops growing when it is 2^24 times as large as what is added to it.
        """
        dtype = widest_dtype(logits.device)
        positive, negative = (logits.new_zeros(logits.shape[1], dtype=dtype) for _ in range(2))
        return cls(positive, negative, unsigned)

    def add_rivals(self, rivals: Tensor, pulls: Tensor, index: Tensor) -> None:
        """Gradients on the classes of each position, 0 at its truth, and that on the truth."""
        self._add_truths(index, pulls if self.unsigned else pulls.abs())
        self.negative.add_(_over_positions(rivals if self.unsigned else rivals.abs()))

    def add_shares(self, shares: Tensor, ratio: Tensor, pulls: Tensor, index: Tensor) -> None:
        """The same where the gradients on the others are given as `shares` >= 0 times `ratio`."""
        self._add_truths(index, pulls if self.unsigned else pulls.abs())
        # A product with a vector: no absolute value of the full size is taken.
        size = ratio if self.unsigned else ratio.abs()
        if shares.dim() == 2:
            self.negative.add_(torch.mv(shares.t(), size.squeeze(1)))
        else:
            self.negative.add_(torch.matmul(shares, size.transpose(1, 2)).sum(dim=0).squeeze(1))

    def add_single(self, gradient: Tensor, index: Tensor) -> None:
        """Gradients on every class. One class is the truth, or none if the index has no column."""
        hot = index.clamp(0, gradient.shape[1] - 1).unsqueeze(1)
        none = hot != index.unsqueeze(1)
        size = gradient if self.unsigned else gradient.abs()
        there = size.gather(1, hot)
        self._add_truths(hot, there * ~none)
        self.negative.add_(_over_positions(size.scatter_(1, hot, there * none)))

    def add_split(self, gradient: Tensor, truth: Tensor) -> None:
        """Gradients of either sign on every class, split by the mass of the truth in [0, 1]."""
        # Not a 1-norm: torch's takes five times as long along the outer axis.
        size = gradient.abs()
        true = size * truth
        self.positive.add_(_over_positions(true))
        self.negative.add_(_over_positions(size.sub_(true)))

    def _add_truths(self, index: Tensor, pulls: Tensor) -> None:
        self.positive.index_add_(0, index.reshape(-1), pulls.reshape(-1).to(self.positive))

    def stacked(self) -> Tensor:
        """Both, (2, C)."""
        return torch.stack([self.positive, self.negative])


def _over_positions(values: Tensor) -> Tensor:
    return values.sum(dim=(0,) if values.dim() == 2 else (0, 2))
