"""The coefficients of a term in powers of q, as far as they are written down, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from taylored.certificates.checker.polynomials import Powers, formula
from taylored.certificates.checker.terms import Node


@dataclass(frozen=True)
class Series:
    """Lower bounds of the coefficients up to an exponent.

    `finite` says that these are all coefficients, and exact. If not, no other one is negative.
    """

    powers: Powers
    finite: bool

    @property
    def nonnegative(self) -> bool:
        """Whether no coefficient is negative."""
        return all(c >= 0 for c in self.powers.values())


def series(node: Node, highest: Fraction) -> Series:
    """The coefficients up to an exponent; a ValueError where the rules say nothing."""
    try:
        a, powers = formula(node)
    except ValueError:
        total = Series({}, finite=True)
        for factor, part in _summands(node, Fraction(1)):
            found = _infinite(part, highest) if part == node else series(part, highest)
            total = _sum(total, _times(factor, found), highest)
        return total
    if not a:
        if any(c < 0 and e > highest for e, c in powers.items()):
            raise ValueError("a negative coefficient is beyond those that are written down")
        return Series(dict(powers), finite=True)
    if a < 0:
        raise ValueError("-log p has a negative factor")
    return _sum(_logarithm(a, highest), Series(powers, finite=True), highest)


def _logarithm(a: Fraction, highest: Fraction) -> Series:
    whole = range(1, int(highest) + 1)
    return Series({Fraction(j): a / j for j in whole}, finite=False)


def _infinite(node: Node, highest: Fraction) -> Series:
    whole = range(1, int(highest) + 1)
    match node.name, node.numbers:
        case "truncated", (n,):
            return Series({Fraction(j): Fraction(1, j) for j in whole if j <= n}, finite=False)
        case "box_cox", (a,) if a <= 1:
            found, c = {}, Fraction(1)
            for j in whole:
                found[Fraction(j)], c = c, c * (j - a) / (j + 1)
            return Series(found, finite=False)
        case "jensen_shannon", (pi,):
            c = 1 - pi  # -1 / log c is at least c / pi
            found = {Fraction(j): (1 - c ** (j - 1)) * c / pi / (j * (j - 1)) for j in whole[1:]}
            return Series({Fraction(1): Fraction(1), **found}, finite=False)
        case "product", _:
            left, right = (series(part, highest) for part in node.parts)
            if not (left.nonnegative and right.nonnegative):
                raise ValueError("a factor has a negative coefficient")
            total: Powers = {}
            for e, c in left.powers.items():
                for f, d in right.powers.items():
                    if e + f <= highest:
                        total[e + f] = total.get(e + f, Fraction(0)) + c * d
            return Series(total, finite=False)
    raise ValueError(f"nothing is known about the coefficients of {node.name}")


def _summands(node: Node, factor: Fraction) -> list[tuple[Fraction, Node]]:
    """What a term is the sum of, each with the numbers that it is multiplied by."""
    if node.name == "sum":
        return [each for part in node.parts for each in _summands(part, factor)]
    if node.name == "product":
        number, inner = node.parts
        if number.name == "series" and len(number.numbers) == 1:
            return _summands(inner, factor * number.numbers[0])
    return [(factor, node)]


def _times(factor: Fraction, found: Series) -> Series:
    if not factor:
        return Series({}, finite=True)
    if factor < 0 and not found.finite:
        raise ValueError("a factor of infinitely many coefficients is negative")
    return Series({e: factor * c for e, c in found.powers.items()}, found.finite)


def _sum(left: Series, right: Series, highest: Fraction) -> Series:
    total = dict(left.powers)
    for e, c in right.powers.items():
        total[e] = total.get(e, Fraction(0)) + c
    for one in (left, right):
        if any(c < 0 and e > highest for e, c in one.powers.items()):
            raise ValueError("a negative coefficient is beyond those that are written down")
    return Series(total, left.finite and right.finite)
