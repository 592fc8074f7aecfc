"""Formulas that are a multiple of -log p plus finitely many powers of q, in exact numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from taylored.certificates.formula import (
    BoxCoxOf,
    Formula,
    Nll,
    PolynomialIn,
    PowerOf,
    ProductOf,
    SumOf,
    TruncatedAt,
)

Powers = dict[Fraction, Fraction]

_LONGEST = 24
"""Truncated sums and powers of p up to this are written out."""


@dataclass(frozen=True)
class Exact:
    """nll * -log p + sum of c q^e."""

    nll: Fraction
    powers: Powers

    def gain(self, q: Fraction) -> Fraction | None:
        """The gain at a rational q; None unless all exponents are whole numbers."""
        if not self.whole:
            return None
        terms = (e * c * q ** int(e - 1) for e, c in self.powers.items() if e)
        return self.nll + (1 - q) * sum(terms, start=Fraction(0))

    @property
    def whole(self) -> bool:
        """Whether every exponent is a whole number."""
        return all(e.denominator == 1 for e in self.powers)

    @property
    def affine(self) -> bool:
        """Whether it is a + b q."""
        return not self.nll and all(e in (0, 1) for e in self.powers)

    @property
    def logarithmic(self) -> bool:
        """Whether it is a constant plus a multiple of -log p."""
        return all(e == 0 for e in self.powers)


def exact_of(formula: Formula) -> Exact | None:
    """The formula in this form; None if it has another one or is too long."""
    match formula:
        case Nll():
            return Exact(Fraction(1), {})
        case PowerOf(a):
            return Exact(Fraction(0), {a: Fraction(1)})
        case PolynomialIn(coefficients) if len(coefficients) <= 4 * _LONGEST:
            return Exact(Fraction(0), {Fraction(j): c for j, c in enumerate(coefficients) if c})
        case TruncatedAt(n) if n <= _LONGEST:
            return Exact(Fraction(0), {Fraction(j): Fraction(1, j) for j in range(1, n + 1)})
        case BoxCoxOf(a) if a.denominator == 1 and a <= _LONGEST:
            n = int(a)
            powers = {Fraction(j): -(Fraction((-1) ** j * math.comb(n, j)) / n)
                      for j in range(1, n + 1)}  # fmt: skip
            return Exact(Fraction(0), powers)
        case SumOf(first, second):
            left, right = exact_of(first), exact_of(second)
            if left is None or right is None:
                return None
            return Exact(left.nll + right.nll, _added(left.powers, right.powers))
        case ProductOf(first, second):
            left, right = exact_of(first), exact_of(second)
            if left is None or right is None:
                return None
            return _multiplied(left, right)
    return None


def _added(left: Powers, right: Powers) -> Powers:
    total = dict(left)
    for e, c in right.items():
        total[e] = total.get(e, Fraction(0)) + c
    return {e: c for e, c in total.items() if c}


def _multiplied(left: Exact, right: Exact) -> Exact | None:
    for one, other in ((left, right), (right, left)):
        if one.nll == 0 and one.logarithmic:
            factor = one.powers.get(Fraction(0), Fraction(0))
            powers = {e: factor * c for e, c in other.powers.items() if factor}
            return Exact(factor * other.nll, powers)
    if left.nll or right.nll:
        return None
    total: Powers = {}
    for e, c in left.powers.items():
        total = _added(total, {e + f: c * d for f, d in right.powers.items()})
    return Exact(Fraction(0), total)


def polynomial_of(exact: Exact, quantity: str) -> tuple[int, list[Fraction]] | None:
    """(d, coefficients in s) of a polynomial with the sign of the quantity at q = s^d.

    None if its degree is above 40.
    """
    one, terms = Fraction(1), exact.powers.items()
    total: Powers = {}
    if quantity in ("gain", "pull"):  # q g
        total = {one: exact.nll}
        for e, c in terms:
            total = _added(total, {e: e * c, e + 1: -e * c})
    elif quantity == "curvature":  # p^2 q^2 phi''
        total = {2 * one: exact.nll}
        for e, c in terms:
            bend = e * (e - 1) * c
            total = _added(total, {e: bend, e + 1: -2 * bend, e + 2: bend})
    else:  # q times the derivative of q g
        total = {one: exact.nll}
        for e, c in terms:
            total = _added(total, {e: e * e * c, e + 1: -e * (e + 1) * c})
    total = {e: c for e, c in total.items() if c}
    d = math.lcm(*(e.denominator for e in total), 1)
    degree = max((int(e * d) for e in total), default=0)
    if degree > 40:
        return None
    found = [Fraction(0)] * (degree + 1)
    for e, c in total.items():
        found[int(e * d)] = c
    return d, found
