"""Where a term is evaluated: p_t in whatever form the term needs, each computed once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Parameter = float | Tensor
"""A term parameter: one number, or one value per class."""


class Point:
    """The probability of the truth, p, and its complement q = 1 - p, given as a margin.

    The margin x is the log odds, p = sigmoid(x). For the sigmoid link it is the signed logit; for
    the softmax link it is z_t minus the log-sum-exp of the *other* logits. Starting from the
    margin, log p and log q are both exact to the last digits at either end, where 1 - p or
    log(1 - p) would cancel.
    """

    def __init__(self, margin: Tensor) -> None:
        self.margin = margin
        self._log_p: Tensor | None = None
        self._log_q: Tensor | None = None
        self._p: Tensor | None = None
        self._q: Tensor | None = None

    @classmethod
    def of_probability(cls, p: Tensor | float) -> Point:
        """The point with the given probability of the truth, in float64."""
        # 80: q is then 1e-35, small enough to be a limit and large enough to divide by.
        return cls(torch.logit(torch.as_tensor(p, dtype=torch.float64)).clamp(-700.0, 80.0))

    @classmethod
    def fixed(cls, margin: Tensor) -> Point:
        """A point that nobody differentiates through, by the fastest way to it."""
        # Elsewhere the plain functions are one fused kernel each.
        return _FixedPoint(margin) if margin.device.type == "cpu" else cls(margin)

    def complement(self) -> Point:
        """The same place seen from the other outcome: p and q change roles."""
        other = type(self)(-self.margin)
        other._log_p, other._log_q, other._p, other._q = self._log_q, self._log_p, self._q, self._p
        return other

    @property
    def log_p(self) -> Tensor:
        """Log p."""
        if self._log_p is None:
            self._log_p = F.logsigmoid(self.margin)
        return self._log_p

    @property
    def log_q(self) -> Tensor:
        """log(1 - p)."""
        if self._log_q is None:
            self._log_q = F.logsigmoid(-self.margin)
        return self._log_q

    @property
    def p(self) -> Tensor:
        """The probability of the truth."""
        if self._p is None:
            self._p = torch.sigmoid(self.margin)
        return self._p

    @property
    def q(self) -> Tensor:
        """1 - p."""
        if self._q is None:
            self._q = torch.sigmoid(-self.margin)
        return self._q

    def q_power(self, exponent: Parameter) -> Tensor:
        """Q ** exponent, with finite derivatives at q -> 0 for every exponent >= 0."""
        if isinstance(exponent, Tensor):
            return torch.exp(exponent * self.log_q)
        if exponent == 0.0:
            return torch.ones_like(self.margin)
        if exponent == 1.0:
            return self.q
        if exponent == 2.0:
            return self.q * self.q
        return torch.exp(exponent * self.log_q)


class _FixedPoint(Point):
    """The same numbers, to the last bit or two, without torch's slow log1p."""

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
        """Log p."""
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


def fast_log1p(e: Tensor) -> Tensor:
    """log(1 + e) for e > -1, in place of `e`; for the CPU, and not for autograd.

    On the CPU torch's log1p takes ten times as long as log. For the rounded u = 1 + e, log(1 + e)
    is log(u) plus what the rounding lost, (e - (u - 1)) / u to first order, which is all of it.
    """
    u = e + 1.0
    lost = e.sub_(u - 1.0).div_(u)
    return u.log_().add_(lost)
