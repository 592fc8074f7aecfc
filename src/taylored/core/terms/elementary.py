"""The terms that expressions are made of, and the functions that build them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import fail, in_range
from taylored.core.terms.known_slope import with_known_slope
from taylored.core.terms.point import Exponent, Point
from taylored.core.terms.power_series import Series, collect
from taylored.core.terms.term import Constant, Pick, Term
from taylored.core.terms.truncated_sum import polynomial, truncated_sum
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

    def bind(self, pick: Pick) -> Term:
        """The term itself: it has no per-class parameters."""
        return self

    def parameters(self) -> tuple[Tensor, ...]:
        """No tensors."""
        return ()

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


@dataclass(frozen=True, eq=False, repr=False)
class Truncated(Term):
    """The first n terms of the cross-entropy series, in constant memory for any n."""

    count: int

    def evaluate(self, at: Point) -> Tensor:
        """Sum of q^j / j for j <= n."""
        return with_known_slope(
            at.margin,
            lambda point: truncated_sum(point.q, point.log_q, self.count),
            self._slope,
        )

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The sum, and q (1 - q^n)."""
        return truncated_sum(at.q, at.log_q, self.count), self._slope(at)

    def _slope(self, at: Point) -> Tensor:
        return at.q * -torch.expm1(self.count * at.log_q)

    def bind(self, pick: Pick) -> Term:
        """The term itself: it has no per-class parameters."""
        return self

    def parameters(self) -> tuple[Tensor, ...]:
        """No tensors."""
        return ()

    def series(self, order: int) -> Series:
        """1/j at q^j up to n."""
        return collect(((float(j), 1.0 / j) for j in range(1, min(order, self.count) + 1)), order)

    def __repr__(self) -> str:
        return f"truncated({self.count})"

    def __str__(self) -> str:
        return f"sum((1-p)^j/j, j=1..{self.count})"


@dataclass(frozen=True, eq=False, repr=False)
class Polynomial(Term):
    """A polynomial in q without constant: the coefficients a_j of q^j, j = 1, 2, ..."""

    coefficients: tuple[float, ...]

    def evaluate(self, at: Point) -> Tensor:
        """Sum of a_j q^j."""
        return with_known_slope(
            at.margin, lambda point: polynomial(self.coefficients, point.q), self._slope
        )

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The sum, and p times the sum of j a_j q^j."""
        return polynomial(self.coefficients, at.q), self._slope(at)

    def _slope(self, at: Point) -> Tensor:
        weighted = tuple(j * a for j, a in enumerate(self.coefficients, start=1))
        return at.p * polynomial(weighted, at.q)

    def bind(self, pick: Pick) -> Term:
        """The term itself: it has no per-class parameters."""
        return self

    def parameters(self) -> tuple[Tensor, ...]:
        """No tensors."""
        return ()

    def series(self, order: int) -> Series:
        """The coefficients themselves."""
        pairs = ((float(j), a) for j, a in enumerate(self.coefficients, start=1))
        return collect(pairs, order)

    def __repr__(self) -> str:
        return f"series({literal(self.coefficients)})"

    def __str__(self) -> str:
        shown = [f"{a:g}*(1-p)^{j}" for j, a in enumerate(self.coefficients[:4], start=1)]
        if len(self.coefficients) > len(shown):
            shown.append(f"... + {self.coefficients[-1]:g}*(1-p)^{len(self.coefficients)}")
        return "(" + " + ".join(shown) + ")"


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


_MOST_TERMS = 10_000_000
"""The tests check the truncated sum up to this number of terms."""

nll = NegativeLogLikelihood()
"""-log p, the cross-entropy term."""


def power(exponent: float | Sequence[float] | Tensor) -> Term:
    """(1 - p)^exponent; raising the exponent silences easy samples sooner.

    Args:
        exponent: a number >= 0, or one per class.

    Example:
        >>> print(power(2) * nll)
        (1-p)^2 * -log(p)
    """
    if isinstance(exponent, (int, float)):
        in_range("exponent", exponent, 0.0, float("inf"), "give a number >= 0", interval="[)")
        return Power(float(exponent))
    values = torch.as_tensor(exponent)
    return Power(values if values.is_floating_point() else values.to(torch.get_default_dtype()))


def truncated(count: int) -> Term:
    """The first `count` terms of the cross-entropy series; raising it approaches cross-entropy.

    Example:
        >>> truncated(2).series(5)
        1*q^1 + 0.5*q^2
    """
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not whole or not 1 <= count <= _MOST_TERMS:
        fail(
            "count",
            f"a whole number from 1 to {_MOST_TERMS:,}",
            repr(count),
            "give the number of terms to keep; beyond that it is cross-entropy",
        )
    return Truncated(count)


def series(coefficients: Sequence[float]) -> Term:
    """A term from its coefficients: `coefficients[j - 1]` multiplies (1 - p)^j.

    Example:
        >>> round(series([1.0, 0.5]).value(0.5).item(), 4)
        0.625
    """
    if len(coefficients) == 0:
        fail("coefficients", "at least one number", "none", "give the factor of (1 - p) first")
    return Polynomial(tuple(float(a) for a in coefficients))


def constant(number: float) -> Term:
    """A number; it moves the loss and leaves the gradient alone."""
    return Constant(float(number))
