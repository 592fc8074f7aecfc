"""The algebra: a classification loss as an expression in q = 1 - p_t.

Sums and products of terms find their slopes by the rules of calculus, so that a loss written as an
expression has its gradient in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.numerics import SignedLog
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Powers, Series, collect, log_of_powers, pairs_of
from taylored.core.terms.scalar_function import ScalarFunction
from taylored.core.written import literal

Pick = Callable[[Tensor], Tensor]
"""Brings one value per class into the shape of the margins (by target, or along the class axis)."""


class Term(ScalarFunction):
    """A function of the probability of the truth that can be added and multiplied.

    Build terms with `nll`, `power(a)`, `truncated(n)`, `series(...)` and `constant(c)`, and
    combine them with `+`, `-` and `*`. The repr builds the term again where these names are
    imported; `str` is its formula.

    Example:
        >>> from taylored import terms
        >>> poly_focal = terms.power(2) * terms.nll + 1.5 * terms.power(3)
        >>> poly_focal
        power(2) * nll + 1.5 * power(3)
        >>> str(poly_focal)
        '(1-p)^2 * -log(p) + 1.5 * (1-p)^3'
        >>> round(poly_focal.value(0.5).item(), 4), round(poly_focal.gain(0.5).item(), 4)
        (0.3608, 1.1591)
    """

    def bind(self, pick: Pick) -> Term:
        """The same expression with per-class parameters brought to the shape of the margins."""
        return self

    def __add__(self, other: Term | float) -> Term:
        return Sum(self, _as_term(other))

    def __radd__(self, other: float) -> Term:
        return Sum(_as_term(other), self)

    def __sub__(self, other: Term | float) -> Term:
        return Sum(self, Scaled(-1.0, _as_term(other)))

    def __mul__(self, other: Term | float) -> Term:
        return Product(self, other) if isinstance(other, Term) else Scaled(float(other), self)

    def __rmul__(self, other: float) -> Term:
        return Scaled(float(other), self)


def _as_term(value: Term | float) -> Term:
    return value if isinstance(value, Term) else Constant(float(value))


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Term):
    """A number: no gradient."""

    number: float

    def evaluate(self, at: Point) -> Tensor:
        """The number everywhere."""
        return torch.full_like(at.margin, self.number)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The number, and 0."""
        return self.evaluate(at), torch.zeros_like(at.margin)

    def series(self, order: int) -> Series:
        """One coefficient, at q^0."""
        return collect([(0.0, self.number)], order)

    def __repr__(self) -> str:
        return f"constant({literal(self.number)})"

    def __str__(self) -> str:
        return f"{self.number:g}"


@dataclass(frozen=True, eq=False, repr=False)
class Scaled(Term):
    """A number times a term."""

    factor: float
    term: Term

    def evaluate(self, at: Point) -> Tensor:
        """c phi."""
        return self.factor * self.term.evaluate(at)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """c phi and c h."""
        value, slope = self.term.evaluate_with_slope(at)
        return self.factor * value, self.factor * slope

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """Both times c."""
        value, slope = self.term.logarithms(at)
        return value.scaled(self.factor), slope.scaled(self.factor)

    def slope_in_powers(self) -> Powers | None:
        """Those of the inner term, times c."""
        powers = self.term.slope_in_powers()
        return None if powers is None else [(e, self.factor * c) for e, c in powers]

    def bind(self, pick: Pick) -> Term:
        """With the inner term bound."""
        return Scaled(self.factor, self.term.bind(pick))

    def parameters(self) -> tuple[Tensor, ...]:
        """Those of the inner term."""
        return self.term.parameters()

    def series(self, order: int) -> Series:
        """c times each coefficient."""
        return collect(((e, self.factor * c) for e, c in pairs_of(self.term.series(order))), order)

    def __repr__(self) -> str:
        return f"{literal(self.factor)} * {_enclosed(self.term, repr, Sum, Product, Scaled)}"

    def __str__(self) -> str:
        return f"{self.factor:g} * {_enclosed(self.term, str, Sum)}"


@dataclass(frozen=True, eq=False, repr=False)
class Sum(Term):
    """The sum of two terms."""

    left: Term
    right: Term

    def evaluate(self, at: Point) -> Tensor:
        """The sum of the values."""
        return self.left.evaluate(at) + self.right.evaluate(at)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The sum of the values and that of the slopes."""
        left, left_slope = self.left.evaluate_with_slope(at)
        factor, term = 1.0, self.right
        if isinstance(term, Scaled):  # one operation adds a multiple
            factor, term = term.factor, term.term
        right, right_slope = term.evaluate_with_slope(at)
        value = torch.add(left, right, alpha=factor)
        return value, torch.add(left_slope, right_slope, alpha=factor)

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """The sums; slopes that cancel at one end do so exactly where they are powers of q."""
        (left, left_slope), (right, right_slope) = (
            part.logarithms(at) for part in (self.left, self.right)
        )
        slope, powers = left_slope.plus(right_slope), self.slope_in_powers()
        return left.plus(right), slope if powers is None else log_of_powers(powers, at, slope)

    def slope_in_powers(self) -> Powers | None:
        """Those of both parts."""
        left, right = self.left.slope_in_powers(), self.right.slope_in_powers()
        return None if left is None or right is None else left + right

    def bind(self, pick: Pick) -> Term:
        """With both parts bound."""
        return Sum(self.left.bind(pick), self.right.bind(pick))

    def parameters(self) -> tuple[Tensor, ...]:
        """Those of both parts."""
        return self.left.parameters() + self.right.parameters()

    def series(self, order: int) -> Series:
        """The coefficients of both, added up."""
        return collect(
            pairs_of(self.left.series(order)) + pairs_of(self.right.series(order)), order
        )

    def __repr__(self) -> str:
        sign, right = "+", self.right
        if isinstance(right, Scaled) and right.factor == -1.0:  # what `-` builds
            sign, right = "-", right.term
        return f"{self.left!r} {sign} {_enclosed(right, repr, Sum)}"

    def __str__(self) -> str:
        return f"{self.left} + {self.right}"


@dataclass(frozen=True, eq=False, repr=False)
class Product(Term):
    """The product of two terms; both factors carry gradient."""

    left: Term
    right: Term

    def evaluate(self, at: Point) -> Tensor:
        """The product of the values."""
        return self.left.evaluate(at) * self.right.evaluate(at)

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """The product of the values, and its slope by the product rule."""
        return self.left.multiply(at, *self.right.evaluate_with_slope(at))

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """The product, and its slope by the product rule."""
        (left, left_slope), (right, right_slope) = (
            part.logarithms(at) for part in (self.left, self.right)
        )
        return left.times(right), left.times(right_slope).plus(right.times(left_slope))

    def bind(self, pick: Pick) -> Term:
        """With both factors bound."""
        return Product(self.left.bind(pick), self.right.bind(pick))

    def parameters(self) -> tuple[Tensor, ...]:
        """Those of both factors."""
        return self.left.parameters() + self.right.parameters()

    def series(self, order: int) -> Series:
        """The coefficients of both, convolved: the lowest powers need the lowest of each factor."""
        left, right = pairs_of(self.left.series(order)), pairs_of(self.right.series(order))
        return collect(((e + f, a * b) for e, a in left for f, b in right), order)

    def __repr__(self) -> str:
        right = _enclosed(self.right, repr, Sum, Product, Scaled)
        return f"{_enclosed(self.left, repr, Sum)} * {right}"

    def __str__(self) -> str:
        return f"{_enclosed(self.left, str, Sum)} * {_enclosed(self.right, str, Sum)}"


def _enclosed(term: Term, write: Callable[[Term], str], *kinds: type[Term]) -> str:
    """The text of a part of an expression, in parentheses if it is of one of these kinds."""
    return f"({write(term)})" if isinstance(term, kinds) else write(term)
