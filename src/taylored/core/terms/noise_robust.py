"""Terms between cross-entropy and the mean absolute error: robust to wrong labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import in_range
from taylored.core.logistic import expm1, log1p, log_one_minus_exp, log_sigmoid, log_softplus
from taylored.core.numerics import SignedLog
from taylored.core.terms.known_slope import with_known_slope
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series, collect, log_of_value
from taylored.core.terms.term import Term
from taylored.core.written import literal


@dataclass(frozen=True, eq=False, repr=False)
class BoxCox(Term):
    """(1 - p^a) / a: minus the Box-Cox transform of p; -log p in the limit a -> 0."""

    exponent: float

    def evaluate(self, at: Point) -> Tensor:
        """-expm1(a log p) / a."""
        # torch takes the derivative of expm1 from its result, where a small p^a is lost next to 1.
        return with_known_slope(at.margin, self._value, self._slope)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The value, and q p^a."""
        return self._value(at), self._slope(at)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """log(1 - e^(a log p)) - log a, and log q + a log p."""
        value = log_softplus(-at.margin)
        if self.exponent >= _NO_EXPONENT:
            size = math.log(self.exponent)
            value = log_one_minus_exp(size + value) - size
        slope = at.log_q + self.exponent * at.log_p
        return SignedLog.positive(value), SignedLog.positive(slope)

    def _value(self, at: Point) -> Tensor:
        if self.exponent < _NO_EXPONENT:
            return -at.log_p
        return -expm1(self.exponent * at.log_p) / self.exponent

    def _slope(self, at: Point) -> Tensor:
        return at.q * torch.exp(self.exponent * at.log_p)

    def series(self, order: int) -> Series:
        """1, (1 - a)/2, (1 - a)(2 - a)/6, ..."""
        coefficients = [1.0]
        for j in range(1, order):
            coefficients.append(coefficients[-1] * (j - self.exponent) / (j + 1))
        return collect(((float(j), a) for j, a in enumerate(coefficients, start=1)), order)

    def __repr__(self) -> str:
        return f"box_cox({literal(self.exponent)})"

    def __str__(self) -> str:
        return f"(1-p^{self.exponent:g})/{self.exponent:g}" if self.exponent else "-log(p)"


@dataclass(frozen=True, eq=False, repr=False)
class JensenShannon(Term):
    """The normalised Jensen-Shannon divergence between a hard label and the prediction.

    The label has the weight pi in their mixture. Each of the other classes contributes its p_k
    times the same number, so that only p is left. With c = 1 - pi, the mixture m = pi + c p at the
    label and Z = -c log c:

        q + (c p log p - m log m) / Z
    """

    pi: float

    def evaluate(self, at: Point) -> Tensor:
        """The normalised divergence."""
        return with_known_slope(at.margin, self._value, self._slope)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The value, and p q log(m / (c p)) / -log c."""
        return self._value(at), self._slope(at)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """Of the value, and the logarithms of the factors of the slope."""
        rate = -math.log1p(-self.pi)
        pull = log_softplus(math.log(self.pi) + rate - at.log_p) - math.log(rate)
        value = log_of_value(self._value, self.series(3), at)
        return value, SignedLog.positive(at.log_p + at.log_q + pull)

    def _value(self, at: Point) -> Tensor:
        # For q -> 0 the two parts cancel down to the order q^2. The rest is exact relative to q as
        # long as the parts are not much larger than Z q. No single form of them is that small for
        # every pi, hence two.
        c = 1.0 - self.pi
        norm = -c * math.log1p(-self.pi)
        if self.pi >= 0.5:
            mixture = 1.0 - c * at.q
            parts = c * (at.p * at.log_p) - mixture * log1p(-c * at.q)
            return at.q + parts / norm
        mixture = self.pi + c * at.p
        far = (c / norm) * (at.p * at.log_p) - (mixture / norm) * torch.log(mixture)
        # m = p (1 + pi q / p) where p > pi q. Elsewhere `far` is used, and the ratio only has to
        # stay finite.
        edge = math.log(self.pi)
        ratio = self.pi * torch.exp(-at.margin.clamp_min(edge))
        near = (self.pi / norm) * -at.log_p - (at.p + self.pi * at.q) / norm * log1p(ratio)
        return at.q + torch.where(at.margin > edge, near, far)

    def _slope(self, at: Point) -> Tensor:
        # log(1 + pi / (c p)) as a softplus, which does not overflow and keeps its digits.
        odds = math.log(self.pi) - math.log1p(-self.pi)
        return at.p * at.q * (log_sigmoid(at.log_p - odds) / math.log1p(-self.pi))

    def series(self, order: int) -> Series:
        """1, then (1 - c^(j-1)) / (-log c) / (j (j - 1))."""
        rate = math.log1p(-self.pi)
        pairs = [(1.0, 1.0)]
        for j in range(2, order + 1):
            pairs.append((float(j), math.expm1((j - 1) * rate) / rate / (j * (j - 1))))
        return collect(pairs, order)

    def __repr__(self) -> str:
        return f"jensen_shannon({literal(self.pi)})"

    def __str__(self) -> str:
        return f"JS_{self.pi:g}(p)"


_NO_EXPONENT = 1e-15
"""Below this exponent a, p^a is 1 + a log p to the last digit, and products with a underflow."""

_MARGIN = 1e-9
"""How close pi may come to 0 and 1, where the normalisation is 0 / 0."""


def box_cox(exponent: float) -> Term:
    """(1 - p^exponent) / exponent; raising the exponent from 0 to 1 goes from -log p to 1 - p.

    Args:
        exponent: a number >= 0.

    Example:
        >>> box_cox(0.5).series(3)
        1*q^1 + 0.25*q^2 + 0.125*q^3
    """
    in_range("exponent", exponent, 0.0, float("inf"), "give a number >= 0", interval="[)")
    return BoxCox(float(exponent))


def jensen_shannon(pi: float) -> Term:
    """Normalised Jensen-Shannon divergence; raising pi from 0 to 1 goes from -log p to 1 - p.

    Args:
        pi: weight of the label in the mixture, in (0, 1).

    Example:
        >>> round(jensen_shannon(0.5).value(0.0).item(), 6), jensen_shannon(0.5).series(2)
        (2.0, 1*q^1 + 0.3607*q^2)
    """
    in_range(
        "pi", pi, _MARGIN, 1.0 - _MARGIN,
        "the limits are other terms: -log p at 0, 1 - p at 1",
    )  # fmt: skip
    return JensenShannon(float(pi))
