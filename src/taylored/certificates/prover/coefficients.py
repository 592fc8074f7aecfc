"""Proofs by the signs of all coefficients of the power series in q.

A sum of c q^e with all c >= 0 falls with p, and with e = 0 or e >= 1 it is convex. -log p, powers,
truncated sums, box_cox(a) with a <= 1 and jensen_shannon have no negative coefficient, and neither
have sums and products of them. What is subtracted from such a formula has to be finitely many
powers, whose coefficients are compared one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from taylored.certificates.formula import (
    BoxCoxOf,
    Formula,
    JensenShannonOf,
    Nll,
    PolynomialIn,
    PowerOf,
    ProductOf,
    SumOf,
    TruncatedAt,
    constant,
)
from taylored.certificates.prover.exact import Powers, exact_of

_HIGHEST = 64
"""Coefficients are compared up to this exponent."""


@dataclass(frozen=True)
class Coefficients:
    """Lower bounds of the coefficients up to `highest`; beyond that none is negative."""

    lowest: Powers
    highest: Fraction

    @property
    def falls(self) -> bool:
        """Whether dphi/dq > 0 on (0, 1)."""
        return any(e > 0 and c > 0 for e, c in self.lowest.items())

    @property
    def convex(self) -> bool:
        """Whether phi'' > 0 on (0, 1)."""
        early = all(e >= 1 or e == 0 for e, c in self.lowest.items())
        return early and any(e > 1 and c > 0 for e, c in self.lowest.items())


def coefficients_of(formula: Formula) -> Coefficients | None:
    """None if a coefficient is negative or its sign is not known by these rules."""
    positive, negative = _split(formula, Fraction(1))
    subtracted: Powers = {}
    for part in negative:
        powers = exact_of(part)
        if powers is None or powers.nll:
            return None
        for e, c in powers.powers.items():
            subtracted[e] = subtracted.get(e, Fraction(0)) + c
    highest = max([Fraction(3), *subtracted])
    if highest > _HIGHEST:
        return None
    total = dict(subtracted)
    for part in positive:
        head = lowest(part, highest)
        if head is None:
            return None
        for e, c in head.items():
            total[e] = total.get(e, Fraction(0)) + c
    if any(c < 0 for e, c in total.items() if e):
        return None
    return Coefficients({e: c for e, c in total.items() if c and e <= highest}, highest)


def _split(formula: Formula, factor: Fraction) -> tuple[list[Formula], list[Formula]]:
    """The summands with no negative coefficient, and the others, each with its factor."""
    match formula:
        case SumOf(first, second):
            left, right = _split(first, factor), _split(second, factor)
            return left[0] + right[0], left[1] + right[1]
        case ProductOf(PolynomialIn(coefficients), inner) if len(coefficients) == 1:
            return _split(inner, factor * coefficients[0])
        case PolynomialIn(coefficients) if any(c * factor < 0 for c in coefficients):
            kept = PolynomialIn(tuple(factor * c for c in coefficients))
            return [], [kept]
    part = formula if factor == 1 else ProductOf(constant(factor), formula)
    if factor == 0:
        return [], []
    return ([part], []) if factor > 0 else ([], [part])


def lowest(formula: Formula, highest: Fraction) -> Powers | None:
    """Lower bounds of the coefficients up to an exponent, none negative; None if one may be."""
    whole = range(1, int(highest) + 1)
    match formula:
        case Nll():
            return {Fraction(j): Fraction(1, j) for j in whole}
        case PowerOf(a):
            return {a: Fraction(1)} if a <= highest else {}
        case TruncatedAt(n):
            return {Fraction(j): Fraction(1, j) for j in whole if j <= n}
        case PolynomialIn(coefficients) if all(c >= 0 for c in coefficients):
            return {Fraction(j): c for j, c in enumerate(coefficients) if c and j <= highest}
        case BoxCoxOf(a) if a <= 1:
            found, c = {}, Fraction(1)
            for j in whole:
                found[Fraction(j)] = c
                c *= (j - a) / (j + 1)
            return {e: c for e, c in found.items() if c}
        case JensenShannonOf(pi):
            # (1 - c^(j-1)) / (-log c) / (j (j-1)) with c = 1 - pi, and -log c <= pi / c.
            c = 1 - pi
            later = {
                Fraction(j): (1 - c ** (j - 1)) * c / pi / (j * (j - 1)) for j in whole if j > 1
            }
            return {Fraction(1): Fraction(1), **later}
        case SumOf(first, second):
            left, right = lowest(first, highest), lowest(second, highest)
            if left is None or right is None:
                return None
            return {e: left.get(e, Fraction(0)) + right.get(e, Fraction(0))
                    for e in left | right}  # fmt: skip
        case ProductOf(first, second):
            left, right = lowest(first, highest), lowest(second, highest)
            if left is None or right is None:
                return None
            total: Powers = {}
            for e, c in left.items():
                for f, d in right.items():
                    if e + f <= highest:
                        total[e + f] = total.get(e + f, Fraction(0)) + c * d
            return total
    return None
