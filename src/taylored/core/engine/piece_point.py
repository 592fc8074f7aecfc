"""The point of a piece: differentiable once, by the fastest way to log p and log q."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from taylored.core.terms.point import Point


class PiecePoint(Point):
    """A point whose logarithms share one exponential, in forward and in backward."""

    @property
    def log_p(self) -> Tensor:
        """Log p."""
        if self._log_p is None:
            self._log_p, self._log_q = _Logarithms.apply(self.margin)
        return self._log_p

    @property
    def log_q(self) -> Tensor:
        """log(1 - p)."""
        if self._log_q is None:
            self._log_p, self._log_q = _Logarithms.apply(self.margin)
        return self._log_q


class _Logarithms(torch.autograd.Function):
    """margin -> (log p, log q). Torch's own logsigmoid spends its time in a slow log1p."""

    @staticmethod
    def forward(ctx: Any, margin: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(margin)
        ctx.set_materialize_grads(False)
        at = Point.fixed(margin)
        return at.log_p, at.log_q

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> Tensor | None:
        (margin,) = ctx.saved_tensors
        for_p, for_q = grad_outputs
        parts = []
        if for_p is not None:
            parts.append(for_p * torch.sigmoid(-margin))
        if for_q is not None:
            parts.append(-for_q * torch.sigmoid(margin))
        return sum(parts[1:], parts[0]) if parts else None
