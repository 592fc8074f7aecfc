"""A term as the formula that a certificate speaks of: the same expression over exact numbers.

Floats stand for decimal and simple fractions: 0.1 is read as 1/10, -0.3333333333333333 as -1/3, the
fraction with the smallest denominator, up to the next power of ten, that rounds to the float.
Exponents are read with twelve digits, so that 0.14 + 1 and 1.14 are the same power, as they are to
`series`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.terms.clipped_focal import ClippedFocal
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.noise_robust import BoxCox, JensenShannon
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.sums_of_powers import Polynomial, Truncated
from taylored.core.terms.term import Constant, Product, Scaled, Sum, Term
from taylored.core.written import literal


@dataclass(frozen=True)
class Nll:
    """-log p."""


@dataclass(frozen=True)
class PowerOf:
    """q^exponent."""

    exponent: Fraction


@dataclass(frozen=True)
class PolynomialIn:
    """Sum of coefficients[j] q^j, j = 0, 1, ..."""

    coefficients: tuple[Fraction, ...]


@dataclass(frozen=True)
class TruncatedAt:
    """Sum of q^j / j, j = 1..count."""

    count: int


@dataclass(frozen=True)
class BoxCoxOf:
    """(1 - p^exponent) / exponent, exponent > 0."""

    exponent: Fraction


@dataclass(frozen=True)
class JensenShannonOf:
    """The Jensen-Shannon term of a weight pi."""

    pi: Fraction


@dataclass(frozen=True)
class ClippedAt:
    """-u^gamma log(1 - u) for u = max(q - margin, 0)."""

    gamma: Fraction
    margin: Fraction


@dataclass(frozen=True)
class ShiftedBy:
    """The inner formula at log odds lower by a margin."""

    inner: Formula
    margin: Fraction


@dataclass(frozen=True)
class SumOf:
    """left + right."""

    left: Formula
    right: Formula


@dataclass(frozen=True)
class ProductOf:
    """left * right."""

    left: Formula
    right: Formula


Leaf = Nll | PowerOf | PolynomialIn | TruncatedAt | BoxCoxOf | JensenShannonOf | ClippedAt
Formula = Leaf | ShiftedBy | SumOf | ProductOf


def simplest(value: float) -> Fraction:
    """The fraction that a float stands for."""
    exact, bound = Fraction(value), 10
    while True:
        found = exact.limit_denominator(bound)
        if float(found) == value:
            return found
        bound *= 10


def number(value: float | Tensor) -> Fraction:
    """The fraction that a parameter stands for."""
    return simplest(float(literal(value) if isinstance(value, Tensor) else value))


def exponent(value: float | Tensor) -> Fraction:
    """The fraction that an exponent stands for."""
    return Fraction(f"{float(literal(value) if isinstance(value, Tensor) else value):.12g}")


def constant(value: Fraction) -> PolynomialIn:
    """A number as a formula."""
    return PolynomialIn((value,))


def formula_of(term: Term) -> Formula:
    """The formula of a term whose parameters are single numbers."""
    match term:
        case NegativeLogLikelihood():
            return Nll()
        case Constant():
            return constant(number(term.number))
        case Power():
            return PowerOf(exponent(term.exponent))
        case Polynomial():
            return PolynomialIn((Fraction(0), *map(number, term.coefficients)))
        case Truncated():
            return TruncatedAt(term.count)
        case BoxCox():
            a = number(term.exponent)
            return BoxCoxOf(a) if a > 0 else Nll()
        case JensenShannon():
            return JensenShannonOf(number(term.pi))
        case ClippedFocal():
            return ClippedAt(exponent(term.gamma), number(term.margin))
        case Shifted():
            inner, margin = formula_of(term.term), number(term.margin)
            return ShiftedBy(inner, margin) if margin and not _is_constant(inner) else inner
        case Scaled():
            return ProductOf(constant(number(term.factor)), formula_of(term.term))
        case Sum():
            return SumOf(formula_of(term.left), formula_of(term.right))
        case Product():
            return ProductOf(formula_of(term.left), formula_of(term.right))
    fail(
        "term",
        "an expression over `taylored.terms`",
        type(term).__name__,
        "a term of your own has no formula that could be certified; write it with these",
    )


def _is_constant(formula: Formula) -> bool:
    match formula:
        case PolynomialIn(coefficients):
            return not any(coefficients[1:])
        case PowerOf(a):
            return a == 0
    parts = parts_of(formula)
    return bool(parts) and all(_is_constant(part) for part in parts)


def parts_of(formula: Formula) -> tuple[Formula, ...]:
    """The formulas that a formula is made of."""
    match formula:
        case SumOf() | ProductOf():
            return formula.left, formula.right
        case ShiftedBy():
            return (formula.inner,)
    return ()


def leaves_of(formula: Formula) -> list[Leaf]:
    """The leaves, from left to right."""
    parts = parts_of(formula)
    if not parts:
        return [formula]  # type: ignore[list-item]
    return [leaf for part in parts for leaf in leaves_of(part)]
