"""Signs of a polynomial with rational coefficients on (0, 1), by Sturm's theorem."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Polynomial = list[int]
"""Whole coefficients, lowest power first; the last is not 0."""

_WIDTH = Fraction(1, 2**20)
"""Roots are enclosed this closely."""


@dataclass(frozen=True)
class SturmProof:
    """Cuts of (0, 1), the sign at each, and how many distinct roots lie between two.

    The polynomial is the given one without its factors s and 1 - s, times a positive number. The
    chain is Sturm's: the polynomial, its derivative, and each time minus the remainder of the last
    two, up to positive factors.
    """

    polynomial: Polynomial
    chain: list[Polynomial]
    cuts: list[Fraction]
    signs: list[int]
    roots: list[int]


def whole(coefficients: Sequence[Fraction]) -> Polynomial:
    """The coefficients times the positive number that makes them whole and coprime."""
    scale = math.lcm(*(c.denominator for c in coefficients), 1)
    numbers = [int(c * scale) for c in coefficients]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    divisor = math.gcd(*numbers) or 1
    return [n // divisor for n in numbers]


def without_ends(polynomial: Polynomial) -> Polynomial:
    """The polynomial without its factors s and 1 - s, which are positive in between."""
    rest = list(polynomial)
    while rest and rest[0] == 0:
        rest = rest[1:]
    while len(rest) > 1 and sum(rest) == 0:
        quotient, carried = [], 0
        for c in rest[:-1]:  # divided by 1 - s, from the lowest power on
            carried += c
            quotient.append(carried)
        rest = quotient
    return rest


def remainder(dividend: Polynomial, divisor: Polynomial) -> Polynomial:
    """A positive multiple of the remainder."""
    rest = [Fraction(c) for c in dividend]
    while len(rest) >= len(divisor):
        factor, shift = rest[-1] / divisor[-1], len(rest) - len(divisor)
        for i, c in enumerate(divisor):
            rest[shift + i] -= factor * c
        rest.pop()
        while rest and rest[-1] == 0:
            rest.pop()
    return whole(rest)


def chain_of(polynomial: Polynomial) -> list[Polynomial]:
    """Sturm's chain."""
    chain = [polynomial, whole([Fraction(j * c) for j, c in enumerate(polynomial)][1:])]
    while chain[-1]:
        chain.append([-c for c in remainder(chain[-2], chain[-1])])
    return chain[:-1]


def sign_at(polynomial: Polynomial, x: Fraction) -> int:
    """The sign at a point."""
    total, n, d = 0, x.numerator, x.denominator
    scale = 1
    for c in reversed(polynomial):  # Horner's rule on whole numbers
        total, scale = total * n + c * scale, scale * d
    return (total > 0) - (total < 0)


def variations(chain: Sequence[Polynomial], x: Fraction) -> int:
    """Changes of sign along the chain."""
    signs = [sign for sign in (sign_at(f, x) for f in chain) if sign]
    return sum(a != b for a, b in itertools.pairwise(signs))


def signs_of(coefficients: Sequence[Fraction]) -> SturmProof | None:
    """The signs on (0, 1); None for the polynomial 0."""
    polynomial = without_ends(whole(coefficients))
    if not polynomial:
        return None
    chain = chain_of(polynomial) if len(polynomial) > 1 else [polynomial]
    isolated = _isolated(polynomial, chain, Fraction(0), Fraction(1))
    cuts = sorted({Fraction(0), Fraction(1)} | {x for pair in isolated for x in pair})
    at = [variations(chain, x) for x in cuts]
    roots = [a - b for a, b in itertools.pairwise(at)]
    return SturmProof(polynomial, chain, cuts, [sign_at(polynomial, x) for x in cuts], roots)


def _isolated(
    polynomial: Polynomial, chain: list[Polynomial], low: Fraction, high: Fraction
) -> list[tuple[Fraction, Fraction]]:
    count = variations(chain, low) - variations(chain, high)
    if count == 0:
        return []
    if count == 1 and low > 0 and high < 1 and high - low <= _WIDTH:
        return [(low, high)]
    middle = (low + high) / 2
    while sign_at(polynomial, middle) == 0:
        middle = (2 * low + middle) / 3
    return _isolated(polynomial, chain, low, middle) + _isolated(polynomial, chain, middle, high)
