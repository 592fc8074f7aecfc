"""Exact arithmetic of the checker: what a term is as a formula, and Sturm's chain counted anew."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

from taylored.certificates.checker.terms import Node

Powers = dict[Fraction, Fraction]
"""Exponent of q -> coefficient."""


def formula(node: Node) -> tuple[Fraction, Powers]:
    """(A, powers) of a term that is A * -log p + sum of c q^e; a ValueError for any other."""
    zero = Fraction(0)
    match node.name, node.numbers:
        case "nll", _:
            return Fraction(1), {}
        case "power", (a,):
            return zero, {a: Fraction(1)}
        case "series", numbers:
            return zero, {Fraction(j): c for j, c in enumerate(numbers) if c}
        case "truncated", (n,) if n <= 100:
            return zero, {Fraction(j): Fraction(1, j) for j in range(1, int(n) + 1)}
        case "box_cox", (a,) if a.denominator == 1 and a <= 100:
            m = int(a)
            return zero, {Fraction(j): Fraction(-((-1) ** j) * math.comb(m, j), m)
                          for j in range(1, m + 1)}  # fmt: skip
        case "shifted", _:
            a, inner = formula(node.parts[0])
            if a or any(inner.keys() - {zero}):
                raise ValueError("only a constant is the same formula when it is shifted")
            return a, inner
        case "sum", _:
            (a, left), (b, right) = map(formula, node.parts)
            return a + b, _clean({e: left.get(e, zero) + right.get(e, zero) for e in left | right})
        case "product", _:
            (a, left), (b, right) = map(formula, node.parts)
            if b:
                a, left, b, right = b, right, a, left
            if b or (a and any(right.keys() - {zero})):
                raise ValueError("a product with -log p is no such formula")
            total: Powers = {}
            for e, c in left.items():
                for f, d in right.items():
                    total[e + f] = total.get(e + f, zero) + c * d
            return a * right.get(zero, zero), _clean(total)
    raise ValueError(f"{node.name} is no multiple of -log p plus powers of q")


def _clean(powers: Powers) -> Powers:
    return {e: c for e, c in powers.items() if c}


def numerator(node: Node, quantity: str) -> Powers:
    """A function of q with the sign of a quantity on (0, 1), as powers of q."""
    a, powers = formula(node)
    first: Powers = {}  # q p dphi/dq
    second: Powers = {}  # q^2 p^2 d2phi/dq2
    _add(first, {Fraction(1): a})
    _add(second, {Fraction(2): a})
    for e, c in powers.items():
        _add(first, {e: e * c, e + 1: -e * c})
        bend = e * (e - 1) * c
        _add(second, {e: bend, e + 1: -2 * bend, e + 2: bend})
    if quantity == "gain":
        return _clean(first)
    if quantity == "curvature":
        return _clean(second)
    if quantity == "margin_curvature":  # q d/dq of the first
        return _clean({e: e * c for e, c in first.items()})
    raise ValueError(f"no polynomial for {quantity!r}")


def _add(total: Powers, more: Powers) -> None:
    for e, c in more.items():
        total[e] = total.get(e, Fraction(0)) + c


def in_root(powers: Powers, root: int) -> list[Fraction]:
    """The coefficients in s, q = s^root."""
    if any((e * root).denominator != 1 or e < 0 for e in powers):
        raise ValueError(f"the exponents are no multiples of 1/{root}")
    degree = max((int(e * root) for e in powers), default=-1)
    if degree > 500:
        raise ValueError("a polynomial of this degree is not checked")
    return [powers.get(Fraction(j, root), Fraction(0)) for j in range(degree + 1)]


def product(a: Sequence[Fraction], b: Sequence[Fraction]) -> list[Fraction]:
    """Of two polynomials."""
    total = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            total[i + j] += x * y
    return total


def trimmed(a: Sequence[Fraction]) -> list[Fraction]:
    """Without leading zeros."""
    found = list(a)
    while found and not found[-1]:
        found.pop()
    return found


def at(a: Sequence[Fraction], x: Fraction) -> Fraction:
    """The value at x."""
    total = Fraction(0)
    for c in reversed(a):
        total = total * x + c
    return total


def remainder(a: Sequence[Fraction], b: Sequence[Fraction]) -> list[Fraction]:
    """Of a divided by b."""
    rest = trimmed(a)
    while len(rest) >= len(b):
        factor, shift = rest[-1] / b[-1], len(rest) - len(b)
        rest = trimmed([c - factor * b[i - shift] if i >= shift else c for i, c in enumerate(rest)])
    return rest


def is_positive_multiple(a: Sequence[Fraction], b: Sequence[Fraction]) -> bool:
    """Whether a is b times a positive number."""
    a, b = trimmed(a), trimmed(b)
    if len(a) != len(b):
        return False
    if not a:
        return True
    ratio = a[-1] / b[-1]
    return ratio > 0 and all(x == ratio * y for x, y in zip(a, b, strict=True))


def variations(chain: Sequence[Sequence[Fraction]], x: Fraction) -> int:
    """Changes of sign at x, zeros left out."""
    values = [value for value in (at(each, x) for each in chain) if value]
    return sum(u * v < 0 for u, v in itertools.pairwise(values))
