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

    @classmethod
    def of_odds(cls, against: Tensor) -> Point:
        """The point with q / p as given, far from 0 and infinity; as little work as there is.

        For the CPU, and not for autograd.
        """
        return _NearPoint(against)

    @classmethod
    def of_parts(cls, p: Tensor, q: Tensor, nll: Tensor) -> Point:
        """The same from p, which may be 0, q and -log p, all three exact."""
        point = _NearPoint(None)
        point._p, point._q, point._nll = p, q, nll
        return point

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
    def nll(self) -> Tensor:
        """-log p."""
        return -self.log_p

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
        if exponent == 3.0:
            return self.q * self.q * self.q
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


class _NearPoint(Point):
    """Where q and, but for `of_parts`, p are ordinary numbers: neither lost nor overflowing.

    Then a power of q is a power of the number q, and the logarithms come from the odds q / p. Most
    of the time of a plain sweep is spent here, so that products are formed in place.
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
        """Log of p / q."""
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
        """Log p."""
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

    def q_power(self, exponent: Parameter) -> Tensor:
        """Q ** exponent."""
        if isinstance(exponent, float):
            if exponent in (0.0, 1.0, 2.0, 3.0):
                return super().q_power(exponent)
            if exponent == 0.5:
                return torch.sqrt(self.q)
        # torch.pow takes longer than both, and torch.exp than exp2.
        return torch.log2(self.q).mul_(exponent).exp2_()


def fast_log1p(e: Tensor) -> Tensor:
    """log(1 + e) for e > -1, in place of `e`; for the CPU, and not for autograd.

    On the CPU torch's log1p takes ten times as long as log. For the rounded u = 1 + e, log(1 + e)
    is log(u) plus what the rounding lost, (e - (u - 1)) / u to first order, which is all of it.
    """
    u = e + 1.0
    lost = e.sub_(u - 1.0).div_(u)
    return u.log_().add_(lost)
