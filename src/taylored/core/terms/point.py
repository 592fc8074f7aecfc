"""Where a term is evaluated: p_t in whatever form the term needs, each computed once."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.context import values_are_known
from taylored.core.logistic import log_sigmoid, sigmoid
from taylored.core.numerics import tensor_of

Exponent = float | Tensor
"""The exponent of a power: one number, or one value per class."""


EDGE = 2.0**60
"""The largest margin at which a term is evaluated: p or q is exactly 0, and squares are finite."""

_OUT_OF_PROPORTION = 2.0**40
"""A value above this at the edge grows with the margin, others have reached their bound."""


def inside(margin: Tensor) -> Tensor:
    """Margins up to the edge, where every term, slope and derivative is finite. NaN stays NaN.

    So does its derivative, and that at the edge is the one inside: not those of `clamp`.
    """
    beyond = margin.abs() > EDGE
    if margin.is_cpu and values_are_known() and not beyond.any():
        return margin
    return torch.where(beyond, margin.sign() * EDGE, margin)


def continued(values: Tensor, margin: Tensor, coefficient: Tensor) -> Tensor:
    """Values found `inside`, followed to the margins themselves, which may be infinite.

    Out there a term is constant, or grows in proportion to the margin as -log p does. Where the
    coefficient is 0 the values stay finite, and so 0 times them is 0.
    """
    beyond = margin.abs() / EDGE
    if margin.is_cpu and values_are_known() and not (beyond > 1).any():
        return values
    grows = (beyond > 1) & (values.abs() > _OUT_OF_PROPORTION) & (coefficient != 0)
    return values * torch.where(grows, beyond, 1.0)


class Point:
    """The probability of the truth, p, and its complement q = 1 - p, given as a margin.

    The margin x is the log odds, p = sigmoid(x). For the sigmoid link it is the signed logit; for
    the softmax link it is z_t minus the log-sum-exp of the *other* logits. Starting from the
    margin, log p and log q are both exact to the last digits at either end, where 1 - p or
    log(1 - p) would cancel. Everything here can be differentiated; `fast_point` has points that
    cannot, or only once, and cost less.
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
        return cls(torch.logit(tensor_of(p, torch.float64)).clamp(-700.0, 80.0))

    def complement(self) -> Point:
        """The same place seen from the other outcome: p and q change roles."""
        other = type(self)(-self.margin)
        other._log_p, other._log_q, other._p, other._q = self._log_q, self._log_p, self._q, self._p
        return other

    @property
    def log_p(self) -> Tensor:
        """Logarithm of p."""
        if self._log_p is None:
            self._log_p = log_sigmoid(self.margin)
        return self._log_p

    @property
    def nll(self) -> Tensor:
        """-log p."""
        return -self.log_p

    @property
    def log_q(self) -> Tensor:
        """log(1 - p)."""
        if self._log_q is None:
            self._log_q = log_sigmoid(-self.margin)
        return self._log_q

    @property
    def p(self) -> Tensor:
        """The probability of the truth."""
        if self._p is None:
            self._p = sigmoid(self.margin)
        return self._p

    @property
    def q(self) -> Tensor:
        """1 - p."""
        if self._q is None:
            self._q = sigmoid(-self.margin)
        return self._q

    def q_power(self, exponent: Exponent) -> Tensor:
        """q ** exponent, with finite derivatives at q -> 0 for every exponent >= 0."""
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

    def binary_cross_entropy(self, truth: Tensor) -> Tensor:
        """-(y log p + (1 - y) log q) of a truth y between 0 and 1, where p is that of "yes"."""
        return -(truth * self.log_p + (1.0 - truth) * self.log_q)
