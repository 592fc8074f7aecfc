"""A formula and three derivatives, enclosed on a box.

The derivative is D = p d/dq, the one in -log p: D phi is the gain, and D of cross-entropy is 1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction

from taylored.certificates.enclosure.box import Box
from taylored.certificates.enclosure.interval import (
    EVERYTHING,
    ZERO,
    Interval,
    around,
    interval,
    logarithm,
    power,
)
from taylored.certificates.enclosure.truncated_jets import truncated, truncated_jet
from taylored.certificates.formula import (
    BoxCoxOf,
    ClippedAt,
    Formula,
    JensenShannonOf,
    Nll,
    PolynomialIn,
    PowerOf,
    ProductOf,
    ShiftedBy,
    SumOf,
    TruncatedAt,
)

Jet = tuple[Interval, Interval, Interval]
"""D phi, D^2 phi and D^3 phi."""

_FLAT: Jet = (ZERO, ZERO, ZERO)


def value(formula: Formula, box: Box) -> Interval:
    """Enclosure of phi on a box that is inside (0, 1)."""
    match formula:
        case SumOf(left, right):
            return value(left, box) + value(right, box)
        case ProductOf(left, right):
            return value(left, box) * value(right, box)
        case ShiftedBy(inner, margin):
            return value(inner, box.moved(odds_factor(-margin)))
        case ClippedAt(gamma, margin):
            u = box.q - margin
            inside = Interval(max(u.lo, 0.0), max(u.hi, 0.0))
            return power(inside, gamma) * _nll_of(box.p + margin) if u.hi > 0.0 else ZERO
        case PolynomialIn(coefficients):
            return horner(_doubles(coefficients, 0), box.q)
    if box.lo == box.hi:
        return _thin_value(formula, box)
    low, high = box.ends  # the values of these rise with q
    return _thin_value(formula, low).hull(_thin_value(formula, high))


def jet(formula: Formula, box: Box) -> Jet:
    """Enclosures of the derivatives on a box that is inside (0, 1)."""
    match formula:
        case SumOf(left, right):
            first, second = jet(left, box), jet(right, box)
            return first[0] + second[0], first[1] + second[1], first[2] + second[2]
        case ProductOf(left, right):
            return _product(value(left, box), jet(left, box), value(right, box), jet(right, box))
        case ShiftedBy():
            return _shifted(formula, box)
        case ClippedAt():
            return _from_plain(plain_clipped(formula, box), box.p)
        case PolynomialIn(coefficients):
            plain = [horner(_doubles(coefficients, k), box.q) for k in (1, 2, 3)]
            return _from_plain((plain[0], plain[1], plain[2]), box.p)
        case Nll():
            return Interval(1.0, 1.0), ZERO, ZERO
        case BoxCoxOf(a):
            power_of_p = box.p_power(a)
            return power_of_p, -a * power_of_p, a * a * power_of_p
        case PowerOf(a):
            return _power(a, box)
        case JensenShannonOf(pi):
            return _jensen_shannon(pi, box)
        case TruncatedAt(n):
            return truncated_jet(n, box)
    raise TypeError(formula)


def _from_plain(found: Jet, p: Interval) -> Jet:
    """D, D^2 and D^3 from the derivatives in q."""
    second = p * (p * found[1] - found[0])
    return p * found[0], second, p * (found[0] - 3 * (p * found[1]) + p * p * found[2])


def _power(a: Fraction, box: Box) -> Jet:
    if a == 0:
        return _FLAT
    p = box.p
    bent = a * p - 1
    rest = box.q * (1 - 2 * a * p) + (a - 2) * (p * bent)
    return (
        a * (p * box.q_power(a - 1)),
        a * (p * bent * box.q_power(a - 2)),
        a * (p * rest * box.q_power(a - 3)),
    )


@functools.lru_cache(maxsize=64)
def jensen_shannon_norm(pi: Fraction) -> Interval:
    """K = 1 / -log(1 - pi)."""
    x = interval(-pi)
    return (-Interval(around(math.log1p(x.lo)).lo, around(math.log1p(x.hi)).hi)).reciprocal()


def _jensen_shannon(pi: Fraction, box: Box) -> Jet:
    """K p l with l = log(m / (c p)), D l = pi / m, D m = -c p."""
    c, p = 1 - pi, box.p
    norm, inverse = jensen_shannon_norm(pi), (pi + c * p).reciprocal()
    excess = (pi / c) * p.reciprocal()
    log = Interval(around(math.log1p(excess.lo)).lo, around(math.log1p(excess.hi)).hi)
    share = pi * inverse
    second = norm * (p * (share - log))
    # D^3 = D of K p (pi / m - l)
    third = norm * (p * (log - 2 * share + c * pi * (p * (inverse * inverse))))
    return norm * (p * log), second, third


def _product(a: Interval, left: Jet, b: Interval, right: Jet) -> Jet:
    """By Leibniz' rule."""
    return (
        left[0] * b + a * right[0],
        left[1] * b + 2 * (left[0] * right[0]) + a * right[1],
        left[2] * b + 3 * (left[1] * right[0] + left[0] * right[1]) + a * right[2],
    )


def _thin_value(formula: Formula, box: Box) -> Interval:
    match formula:
        case Nll():
            return box.nll
        case PowerOf(a):
            return box.q_power(a)
        case BoxCoxOf(a):
            rate = interval(a) * box.nll
            low, high = around(-math.expm1(-rate.lo)), around(-math.expm1(-rate.hi))
            return Interval(low.lo, high.hi) * (1 / a)
        case JensenShannonOf(pi):
            c = 1 - pi
            mixture = pi + c * box.p
            norm = jensen_shannon_norm(pi) * (1 / c)
            parts = (-c) * (box.p * box.nll) - mixture * logarithm(mixture)
            return box.q + parts * norm
        case TruncatedAt(n):
            return truncated(n, box)
    raise TypeError(formula)


def _focus(a: Fraction, u: Interval) -> Jet:
    """Derivatives of u^a in u."""
    found, factor = [], Fraction(1)
    for order in (1, 2, 3):
        factor *= a - order + 1
        found.append(factor * power(u, a - order) if factor else ZERO)
    return found[0], found[1], found[2]


def _nll_of(rest: Interval) -> Interval:
    """-log of a number in (0, 1]."""
    nll = -logarithm(Interval(max(rest.lo, 0.0), min(rest.hi, 1.0)))
    return Interval(max(nll.lo, 0.0), nll.hi)


def plain_clipped(formula: ClippedAt, box: Box) -> Jet:
    """The derivatives in q."""
    gamma, u = formula.gamma, box.q - formula.margin
    if u.hi <= 0.0:
        return _FLAT
    rest = (box.p + formula.margin).meet(Interval(0.0, 1.0))
    inverse = power(rest, -1)
    log: Jet = (inverse, inverse * inverse, 2 * (inverse * inverse * inverse))
    if u.lo > 0.0:
        return _product(power(u, gamma), _focus(gamma, u), _nll_of(rest), log)
    # -log(1 - u) is at most u / (1 - u), and no coefficient of the series in u is negative.
    u = Interval(0.0, u.hi)
    first = ((gamma + 1) * power(u, gamma) * log[0]).hull(ZERO)
    # At gamma = 0 the slope jumps where clipping ends.
    second = Interval(0.0, math.inf) if gamma else EVERYTHING
    if gamma >= 1:
        terms = (gamma * (gamma - 1) + 2 * gamma) * power(u, gamma - 1)
        second = ((terms + power(u, gamma)) * log[1]).hull(ZERO)
    return first, second, EVERYTHING


@functools.lru_cache(maxsize=64)
def _doubles(coefficients: tuple[Fraction, ...], order: int) -> tuple[Interval, ...]:
    """The coefficients of the derivative of an order."""
    later = enumerate(coefficients[order:], start=order)
    return tuple(interval(math.perm(j, order) * c) for j, c in later)


def horner(coefficients: Sequence[Interval], x: Interval) -> Interval:
    """Sum of coefficients[j] x^j."""
    total = ZERO
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


@functools.lru_cache(maxsize=64)
def odds_factor(margin: Fraction) -> Interval:
    """exp(margin)."""
    x = interval(margin)
    return Interval(around(math.exp(x.lo)).lo, around(math.exp(x.hi)).hi)


def _shifted(formula: ShiftedBy, box: Box) -> Jet:
    """By the chain rule: D = r D' with r = E / (p + E q), E = exp(margin), at q' = r q."""
    e = odds_factor(formula.margin)
    inner = jet(formula.inner, box.moved(odds_factor(-formula.margin)))
    below = (1 + (e - 1) * box.q) if box.side == "q" else e + (1 - e) * box.p
    r, share = e * power(below, -1), 1 - odds_factor(-formula.margin)
    bend = -(share * (box.p * (r * r)))
    turn = share * (box.p * (r * r - 2 * (r * bend)))
    return (
        r * inner[0],
        bend * inner[0] + r * r * inner[1],
        turn * inner[0] + 3 * (r * bend * inner[1]) + r * r * r * inner[2],
    )
