"""The terms that expressions are made of, and the functions that build them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range
from taylored.core.labels import PerClass, in_class_order
from taylored.core.logistic import log_softplus
from taylored.core.numerics import SignedLog, tensor_of
from taylored.core.terms.point import Exponent, Point
from taylored.core.terms.power_series import Powers, Series, collect
from taylored.core.terms.term import Constant, Pick, Term
from taylored.core.written import literal


@dataclass(frozen=True, eq=False, repr=False)
class NegativeLogLikelihood(Term):
    """-log p: the cross-entropy term, sum of q^j / j."""

    def evaluate(self, at: Point) -> Tensor:
        """-log p."""
        return at.nll

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """-log p and q."""
        return at.nll, at.q

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """log(-log p), and log q."""
        return SignedLog.positive(log_softplus(-at.margin)), SignedLog.positive(at.log_q)

    def slope_in_powers(self) -> Powers | None:
        """q itself."""
        return [(1.0, 1.0)]

    def series(self, order: int) -> Series:
        """1/j at q^j."""
        return collect(((float(j), 1.0 / j) for j in range(1, order + 1)), order)

    def __repr__(self) -> str:
        return "nll"

    def __str__(self) -> str:
        return "-log(p)"


@dataclass(frozen=True, eq=False, repr=False)
class Power(Term):
    """(1 - p)^a."""

    exponent: Exponent

    def evaluate(self, at: Point) -> Tensor:
        """q^a."""
        return at.q_power(self.exponent)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """q^a and a p q^a."""
        value = at.q_power(self.exponent)
        return value, at.p * value * self.exponent

    def multiply(self, at: Point, value: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """q^a phi and q^a (h + a p phi), which takes two products less than the general rule."""
        factor = at.q_power(self.exponent)
        if isinstance(self.exponent, Tensor):
            bent = torch.addcmul(slope, at.p * self.exponent, value)
        else:
            bent = torch.addcmul(slope, at.p, value, value=self.exponent)
        return factor * value, bent.mul_(factor)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """a log q, and log(a p q^a), which is no number where a is 0."""
        log = at.log_q * self.exponent
        exponent = torch.as_tensor(self.exponent, dtype=log.dtype, device=log.device)
        given = exponent > 0
        size = torch.where(given, torch.log(torch.where(given, exponent, 1.0)), -math.inf)
        sign = given.to(log.dtype).expand(log.shape)
        return SignedLog.positive(log), SignedLog(size + at.log_p + log, sign)

    def slope_in_powers(self) -> Powers | None:
        """a q^a - a q^(a + 1)."""
        a = self.exponent
        return None if isinstance(a, Tensor) else [(a, a), (a + 1.0, -a)]

    def bind(self, pick: Pick) -> Term:
        """With the exponent of each margin's class."""
        return Power(pick(self.exponent)) if isinstance(self.exponent, Tensor) else self

    def parameters(self) -> tuple[Tensor, ...]:
        """The exponents, if there is one per class."""
        return (self.exponent,) if isinstance(self.exponent, Tensor) else ()

    def series(self, order: int) -> Series:
        """One power."""
        return collect([(_single(self.exponent), 1.0)], order)

    def __repr__(self) -> str:
        return f"power({literal(self.exponent)})"

    def __str__(self) -> str:
        written = _number(self.exponent)
        return "(1-p)" if written == "1" else f"(1-p)^{written}"


def _number(value: Exponent) -> str:
    if not isinstance(value, Tensor):
        return f"{value:g}"
    listed = [f"{v:g}" for v in value.flatten()[:4].tolist()]
    more = ["..."] if value.numel() > len(listed) else []
    return f"[{', '.join(listed + more)}]"


def _single(value: Exponent) -> float:
    if isinstance(value, Tensor):
        fail(
            "term",
            "one with a single exponent",
            "one exponent per class",
            "ask for the series of one class at a time, e.g. power(gamma[3].item())",
        )
    return value


nll = NegativeLogLikelihood()
"""-log p, the cross-entropy term."""


def power(exponent: float | PerClass) -> Term:
    """(1 - p)^exponent; raising the exponent silences easy samples sooner.

    Args:
        exponent: a number >= 0, or one per class; its digits are kept, a tensor's in its dtype.

    Example:
        >>> print(power(2) * nll)
        (1-p)^2 * -log(p)
    """
    if isinstance(exponent, (int, float)):
        in_range("exponent", exponent, 0.0, float("inf"), "give a number >= 0", interval="[)")
        return Power(float(exponent))
    if isinstance(exponent, Tensor) and exponent.is_floating_point():
        return Power(exponent)
    listed = in_class_order("exponent", exponent, gaps=False)
    return Power(tensor_of(listed, torch.float64))


def constant(number: float) -> Term:
    """A number; it moves the loss and leaves the gradient alone."""
    return Constant(float(number))
