"""Losses of all classes of a position at once, as a form of the engine's single pass.

Autograd finds the gradient of one piece of the batch at a time; shapes, buffers and backward are
those of `core/engine/elementwise_pass.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.context import has_tangent
from taylored.core.engine.elementwise import ElementBatch, Elements, elements
from taylored.core.numerics import harmless, smoothed
from taylored.core.plan.plan import Plan

PositionValues = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, truths, whether an element counts) to one value per position.

All arguments have every class on axis 1. The result for a position must not depend on others.
"""


@dataclass(frozen=True, eq=False)
class Rows:
    """The form of a loss with one value per position."""

    values: PositionValues

    def composed(self, given: ElementBatch) -> Tensor:
        """The loss, differentiable in every slot and mode: the reference."""
        losses = self.each(given)
        return losses.sum() if given.plan.output == "sum" else losses

    def each(self, given: ElementBatch) -> Tensor:
        """The weighted losses of the positions."""
        found = elements(given)
        return self._weighted(found.z, found, given.plan)

    def each_and_gradient(self, given: ElementBatch) -> tuple[Tensor, Tensor]:
        """The same, and the gradient of their sum on the logits."""
        found = elements(given)
        with torch.enable_grad():
            z = found.z.detach().requires_grad_()
            losses = self._weighted(z, found, given.plan)
            (gradient,) = torch.autograd.grad(losses.sum(), z)
        return losses.detach(), gradient

    def reaches_further(self, given: ElementBatch) -> bool:
        """Whether the values contain tensors for which derivatives could be asked."""
        losses = self.each(given)
        return losses.requires_grad or has_tangent(losses)

    def _weighted(self, z: Tensor, found: Elements, plan: Plan) -> Tensor:
        y = smoothed(found.y, plan.smoothing, z.shape[1])
        weight = _position_weight(y, found, plan)
        nothing = weight == 0
        values = self.values(harmless(z, nothing.unsqueeze(1)), y, found.counted())
        # A weight of 0 silences values that overflow; its own derivative stays.
        return torch.where(nothing & ~values.isfinite(), 0.0, values) * weight


def _position_weight(y: Tensor, found: Elements, plan: Plan) -> Tensor:
    """Mask, weights and denominator of a position; of a distribution, the mean weight under it."""
    if plan.positive is not None:
        return (y * found.coefficient).sum(dim=1)
    if plan.ignore is None:
        return plan.rows.squeeze(1)
    # A position of which no class counts costs nothing, whatever it holds.
    return torch.where(found.counted().any(dim=1), plan.rows.squeeze(1), 0.0)
