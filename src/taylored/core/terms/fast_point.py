"""Points for sweeps that need no autograd, or one derivative only: the same numbers, sooner.

On the CPU torch's log1p, logsigmoid and pow are slow; these points do without them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from taylored.core.terms.point import Exponent, Point


def fixed(margin: Tensor) -> Point:
    """A point that is not differentiated."""
    # On other devices each of the plain functions is one fused kernel.
    return _FixedPoint(margin) if margin.device.type == "cpu" else Point(margin)


def of_odds(against: Tensor) -> Point:
    """The fastest point: from q / p, on the CPU, not differentiated.

    The odds have to be well inside the float range.
    """
    return _NearPoint(against)


def of_parts(p: Tensor, q: Tensor, nll: Tensor) -> Point:
    """The same from p, which may be 0, q and -log p, all three exact."""
    point = _NearPoint(None)
    point._p, point._q, point._nll = p, q, nll
    return point


class _FixedPoint(Point):
    """The numbers of a `Point` to the last bit or two, by `fast_log1p`."""

    def __init__(self, margin: Tensor) -> None:
        super().__init__(margin)
        self._rest: Tensor | None = None

    def complement(self) -> Point:
        """The same place seen from the other outcome."""
        other = super().complement()
        other._rest = self._rest  # type: ignore[attr-defined]
        return other

    @property
    def log_p(self) -> Tensor:
        """Logarithm of p."""
        if self._log_p is None:
            self._log_p = torch.clamp_max(self.margin, 0.0).sub_(self._softplus())
        return self._log_p

    @property
    def log_q(self) -> Tensor:
        """log(1 - p)."""
        if self._log_q is None:
            self._log_q = torch.clamp_min(self.margin, 0.0).add_(self._softplus()).neg_()
        return self._log_q

    def _softplus(self) -> Tensor:
        """log(1 + exp(-|x|))."""
        if self._rest is None:
            self._rest = fast_log1p(self.margin.abs().neg_().exp_())
        return self._rest


class _NearPoint(Point):
    """A point whose q, and except for `of_parts` whose p, are well inside the float range.

    There a power of q is a power of the number q, and the logarithms come from the odds q / p.
    A plain sweep spends most of its time here, which is why products are formed in place.
    """

    def __init__(self, against: Tensor | None) -> None:
        self._against = against
        self._nll: Tensor | None = None
        self._log_q: Tensor | None = None
        self._p: Tensor | None = None
        self._q: Tensor | None = None

    @property
    def against(self) -> Tensor:
        """The odds q / p."""
        if self._against is None:
            self._against = self.q / self.p
        return self._against

    def complement(self) -> Point:
        """The same place seen from the other outcome."""
        return _NearPoint(torch.reciprocal(self.against))

    @property
    def margin(self) -> Tensor:  # type: ignore[override]
        """log(p / q)."""
        return self.log_p - self.log_q

    @property
    def nll(self) -> Tensor:
        """-log p."""
        if self._nll is None:
            # log(1 + odds), see `fast_log1p`; p is the reciprocal of that sum.
            total = self.against + 1.0
            self._p = torch.reciprocal(total)
            lost = torch.sub(self.against, total - 1.0)
            self._nll = total.log_().addcmul_(lost, self._p)
        return self._nll

    @property
    def log_p(self) -> Tensor:
        """Logarithm of p."""
        return -self.nll

    @property
    def log_q(self) -> Tensor:
        """log(1 - p)."""
        if self._log_q is None:
            # Not the logarithm of q, which for a small p has none of its digits.
            self._log_q = fast_log1p(self.p / self.q).neg_()
        return self._log_q

    @property
    def p(self) -> Tensor:
        """The probability of the truth."""
        if self._p is None:
            self._p = (self.against + 1.0).reciprocal_()
        return self._p

    @property
    def q(self) -> Tensor:
        """1 - p."""
        if self._q is None:
            self._q = self.against * self.p
        return self._q

    def q_power(self, exponent: Exponent) -> Tensor:
        """q ** exponent."""
        if isinstance(exponent, float):
            if exponent in (0.0, 1.0, 2.0, 3.0):
                return super().q_power(exponent)
            if exponent == 0.5:
                return torch.sqrt(self.q)
        # torch.pow takes longer than both, and torch.exp than exp2.
        return torch.log2(self.q).mul_(exponent).exp2_()


class PiecePoint(Point):
    """A point that is differentiated once: log p and log q share one exponential."""

    @property
    def log_p(self) -> Tensor:
        """Logarithm of p."""
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
    """margin -> (log p, log q)."""

    @staticmethod
    def forward(ctx: Any, margin: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(margin)
        ctx.set_materialize_grads(False)
        at = fixed(margin)
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


def fast_log1p(e: Tensor) -> Tensor:
    """log(1 + e) for e > -1, in place of `e`; for the CPU, and not for autograd.

    On the CPU torch's log1p takes ten times as long as log. For the rounded u = 1 + e, log(1 + e)
    is log(u) plus what the rounding lost, (e - (u - 1)) / u to first order, which is all of it.
    """
    u = e + 1.0
    lost = e.sub_(u - 1.0).div_(u)
    return u.log_().add_(lost)
