"""Sums over the positions of every ratio, which most overlap losses are functions of.

The sums need one sweep over the logits, and their gradient another: dL/dp of an element is
w (a y + b + 2 c p), where a, b and c are the derivatives of the loss by its three sums that depend
on the prediction. Nothing of the size of the logits is kept between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from taylored.core.context import compiling, exporting, has_tangent, transformed
from taylored.core.numerics import harmless, tensor_of
from taylored.core.overlap.batch import Batch, ratio
from taylored.core.overlap.sweeps import sweep_of


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the positions of each ratio, (G, C) in float64: w is the weight of a position.

    Attributes:
        both: of w p y, probability and truth.
        predicted: of w p.
        true: of w y.
        predicted_squares: of w p^2; 0 where they were not asked for.
        true_squares: of w y^2; 0 where they were not asked for.
        counted: of w.
        smooth: what is added above and below the line of a ratio.
    """

    both: Tensor
    predicted: Tensor
    true: Tensor
    predicted_squares: Tensor
    true_squares: Tensor
    counted: Tensor
    smooth: tuple[float, float] = (0.0, 0.0)

    def ratio(self, over: Tensor, under: Tensor) -> Tensor:
        """A smoothed quotient; 1 where there is nothing to divide by, neither true nor predicted.

        What is over the line is at most what is under it.
        """
        return ratio(over + self.smooth[0], under + self.smooth[1])

    def pooled(self, weight: Tensor | None) -> Sums:
        """All classes together, (G, 1), each times its weight."""

        def together(each: Tensor) -> Tensor:
            weighed = each if weight is None else each * weight
            return weighed.sum(dim=1, keepdim=True)

        return self._each(together)

    def settled(self) -> Sums:
        """The sums, with 1 where nothing counts: costs and their derivatives are finite there."""
        return self._each(lambda each: torch.where(self.counted > 0, each, 1.0))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Sums:
        return Sums(
            change(self.both),
            change(self.predicted),
            change(self.true),
            change(self.predicted_squares),
            change(self.true_squares),
            change(self.counted),
            self.smooth,
        )


Cost = Callable[[Sums], Tensor]
"""What each ratio costs."""


def sums_of(batch: Batch, squares: bool, smooth: tuple[float, float]) -> Sums:
    """The sums of a batch, by the cheapest way that gives every derivative needed."""
    found = _found(batch, squares)
    if batch.samples is not None:  # NaN times 0 would be NaN
        found = harmless(found, batch.samples == 0)
    both, predicted, true, *squared = found.unbind(0)
    nothing = torch.zeros_like(true)
    predicted_squares, true_squares = squared or (nothing, nothing)
    counted = batch.counted()
    return Sums(both, predicted, true, predicted_squares, true_squares, counted, smooth)


def _found(batch: Batch, squares: bool) -> Tensor:
    if _needs_composition(batch):
        return composed(batch, squares)
    if torch.is_grad_enabled() and batch.logits.requires_grad:
        found: Tensor = _OnePass.apply(batch.logits, batch, squares)
        return found
    return sweep_of(batch).sums(batch, squares)


def composed(batch: Batch, squares: bool) -> Tensor:
    """The sums as plain differentiable operations, (3 or 5, G, C): the reference."""
    found = batch.elements()
    p, y, w = batch.probabilities(found.z), found.y, found.coefficient
    parts = [w * p * y, w * p, w * y]
    if squares:
        parts += [w * p * p, w * y * y]
    return torch.stack([batch.summed(part) for part in parts])


def _needs_composition(batch: Batch) -> bool:
    """Whether anything except the first derivative on the logits could be asked for."""
    if torch.is_grad_enabled() and any(each.requires_grad for each in batch.plan.tensors()):
        return True
    if exporting() or compiling() or batch.logits.numel() == 0:
        return True
    return transformed() or has_tangent(batch.logits)


class _OnePass(torch.autograd.Function):
    """(logits, batch, whether squares) -> sums, (3 or 5, G, C). Never sees functorch."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, batch: Batch, squares: bool) -> Tensor:
        ctx.save_for_backward(logits, batch.plan.target, batch.plan.rows)
        ctx.batch, ctx.squares = replace(batch, logits=logits.new_empty(0)), squares
        return sweep_of(batch).sums(batch, squares)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None]:
        grad = grad_outputs[0]
        if grad is None:
            return None, None, None
        logits, target, rows = ctx.saved_tensors
        batch = ctx.batch
        plan = replace(batch.plan, target=target, rows=rows)
        batch = replace(batch, logits=logits, plan=plan)
        if torch.is_grad_enabled():  # double backward: differentiate the composed reference
            found = composed(batch, ctx.squares)
            (gradient,) = torch.autograd.grad(found, logits, grad, create_graph=True)
            return gradient, None, None
        return sweep_of(batch).gradient(batch, grad), None, None


def class_weights(weight: Any, like: Tensor) -> Tensor | None:
    """One number per class in the dtype of the sums."""
    return None if weight is None else tensor_of(weight).to(like).reshape(-1)
