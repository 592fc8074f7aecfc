"""The gradients of features, weight and bias, added up from pieces of the gradient on logits."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.engine.executor import gradient_dtype
from taylored.core.engine.linear.head import Head, Wanted
from taylored.core.numerics import computing_dtype
from taylored.core.plan.positions import Positions

EVERY = slice(None)
"""All classes."""


class Products:
    """The gradients of the head, added up over positions, and for each over classes."""

    def __init__(self, head: Head, weight: Tensor, wanted: Wanted) -> None:
        self._head = head
        # In float16, entries that are divided by the batch size underflow, and sums of entries that
        # are not overflow.
        half = head.dtype == torch.float16
        self._weight = weight.float() if half and wanted.features else weight
        width = weight.shape[1]
        new, wide = head.features.new_zeros, computing_dtype(weight)
        stored, count = gradient_dtype(head.features), head.features.shape[:-1].numel()
        self._for_x = new((count, width), dtype=stored) if wanted.features else None
        self._for_weight = new(weight.shape, dtype=wide) if wanted.weight else None
        self._for_bias = new(len(weight), dtype=wide) if wanted.bias else None

    def add(self, x: Tensor, g: Tensor, place: Positions) -> None:
        """Add those of all classes at some positions, from features and the gradient on logits."""
        if self._for_x is not None:
            self._for_x[place] = torch.mm(g, self._weight).to(self._for_x.dtype)
        self._add_to_head(x, g, EVERY)

    def begin(self, count: int) -> Tensor | None:
        """Room for the gradient on the features of some positions, to add to class by class."""
        if self._for_x is None:
            return None
        return self._for_x.new_zeros(
            count, self._for_x.shape[1], dtype=computing_dtype(self._for_x)
        )

    def add_some(self, x: Tensor, g: Tensor, columns: slice, for_x: Tensor | None) -> None:
        """Add those of some classes; what belongs to the features goes where `begin` has room."""
        if for_x is not None:
            _add_product(for_x, g, self._weight[columns])
        self._add_to_head(x, g, columns)

    def end(self, place: Positions, for_x: Tensor | None) -> None:
        """Keep the gradient on the features of some positions, to which all classes were added."""
        if self._for_x is not None and for_x is not None:
            self._for_x[place] = for_x.to(self._for_x.dtype)

    def _add_to_head(self, x: Tensor, g: Tensor, columns: slice) -> None:
        if self._for_weight is not None:
            _add_product(self._for_weight[columns], g.t(), x)
        if self._for_bias is not None:
            self._for_bias[columns] += g.sum(dim=0, dtype=self._for_bias.dtype)

    def finished(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """All three, in the dtypes in which gradients are stored."""
        head, for_x = self._head, self._for_x
        return (
            None if for_x is None else for_x.reshape(head.features.shape),
            _kept(self._for_weight, head.weight),
            _kept(self._for_bias, head.bias),
        )


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:  # bfloat16: each product is rounded once, their sum is not
        total += torch.mm(left, right)


def _kept(gradient: Tensor | None, like: Tensor | None) -> Tensor | None:
    if gradient is None or like is None:
        return None
    return gradient.to(gradient_dtype(like))
