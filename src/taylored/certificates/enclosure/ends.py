"""A formula and its first two derivatives in q near p = 1 and near p = 0, with remainders."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

from taylored.certificates.enclosure.box import Box, Side
from taylored.certificates.enclosure.interval import ZERO, Interval, interval, logarithm, power
from taylored.certificates.enclosure.jets import (
    jensen_shannon_norm,
    odds_factor,
    plain_clipped,
    value,
)
from taylored.certificates.enclosure.local import (
    ORDER,
    Coefficient,
    Local,
    binomial,
    exact,
    from_derivatives,
    log_of_binomial,
    taylor,
)
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

Three = tuple[Local, Local, Local]

_WHOLE = Fraction(1)


@functools.lru_cache(maxsize=1024)
def expand(formula: Formula, end: Side, reach: float) -> Three | None:
    """phi, dphi/dq, d2phi/dq2 for t = q (end "q") or t = p in (0, reach]; None if it is too far."""
    match formula:
        case SumOf() | ProductOf():
            left = expand(formula.left, end, reach)
            right = expand(formula.right, end, reach)
            if left is None or right is None:
                return None
            if isinstance(formula, SumOf):
                return left[0] + right[0], left[1] + right[1], left[2] + right[2]
            twice = (left[1] * right[1]).scaled(Fraction(2))
            second = left[2] * right[0] + twice + left[0] * right[2]
            return left[0] * right[0], left[1] * right[0] + left[0] * right[1], second
        case ShiftedBy():
            return _shifted(formula, end, reach)
        case ClippedAt():
            return _clipped_at(formula, end, reach)
        case PowerOf(a) if end == "q" or a in (0, 1):
            if end == "q":
                powers = ((a, _WHOLE), (a - 1, a), (a - 2, a * (a - 1)))
                return _three([exact({(e, 0): c}, reach) for e, c in powers])
            line = PolynomialIn((Fraction(1 - a), a))
            return _polynomial(line, end, reach)
        case PolynomialIn():
            return _polynomial(formula, end, reach)
        case Nll() | BoxCoxOf() | JensenShannonOf() if end == "p":
            return _with_logarithm(formula, reach)
    sign = 1 if end == "q" else -1
    derivatives = _Derivatives(formula, end, reach)
    return _three(
        [
            from_derivatives(derivatives.at_end, derivatives.within, order, sign, reach)
            for order in range(3)
        ]
    )


def _three(found: list[Local]) -> Three:
    return found[0], found[1], found[2]


class _Derivatives:
    """All derivatives in q of a leaf: at the end, and enclosed within (0, reach]."""

    def __init__(self, leaf: Formula, end: Side, reach: float) -> None:
        self.leaf, self.end = leaf, end
        box = Box(end, 0.0, reach)
        self.p, self.q = box.p, box.q
        self.edge = Box(end, reach, reach)

    def at_end(self, k: int) -> Coefficient:
        """At q = 0, or at p = 0."""
        match self.leaf:
            case Nll():
                return Fraction(math.factorial(k - 1)) if k else Fraction(0)
            case BoxCoxOf(a):
                return math.prod((i - a for i in range(1, k)), start=_WHOLE) if k else Fraction(0)
            case JensenShannonOf():
                return Fraction(min(k, 1)) if k < 2 else self._mixed(k, interval(1.0))
            case PowerOf(a):
                return math.prod((a - i for i in range(k)), start=_WHOLE)
            case TruncatedAt(n):
                if self.end == "q":
                    return Fraction(math.factorial(k - 1) if 1 <= k <= n else 0)
                if k == 0:
                    return value(self.leaf, Box("q", 1.0, 1.0))
                return Fraction(math.factorial(k - 1) * math.comb(n, k))
        raise TypeError(self.leaf)

    def within(self, k: int) -> Interval:
        """On the whole piece, for k >= ORDER."""
        match self.leaf:
            case Nll():
                return math.factorial(k - 1) * power(self.p, -k)
            case BoxCoxOf(a):
                return interval(self.at_end(k)) * power(self.p, a - k)
            case JensenShannonOf():
                return self._mixed(k, self.edge.p).hull(self._mixed(k, interval(1.0)))
            case PowerOf(a):
                return interval(self.at_end(k)) * power(self.q, a - k)
            case TruncatedAt(n):
                full = interval(self.at_end(k))
                if self.end == "q":
                    return full.hull(math.factorial(k - 1) * power(self.p, -k))
                least = full * self.edge.q_power(n - k) if n >= k else ZERO
                return Interval(max(least.lo, 0.0), full.hi)
        raise TypeError(self.leaf)

    def _mixed(self, k: int, p: Interval) -> Interval:
        """K (k-2)! (p^(1-k) - (c / m)^(k-1)), monotone in p."""
        assert isinstance(self.leaf, JensenShannonOf)  # noqa: S101
        pi = self.leaf.pi
        c, norm = 1 - pi, jensen_shannon_norm(pi)
        ratio = c * (pi + c * p).reciprocal()
        inside = power(p, 1 - k) - power(ratio, k - 1)
        return math.factorial(k - 2) * norm * inside


def _polynomial(formula: PolynomialIn, end: Side, reach: float) -> Three:
    """Exact up to ORDER; around p = 0 the powers of 1 - p are expanded."""
    coefficients = formula.coefficients
    found = []
    for order in range(3):
        moved = [math.perm(j, order) * c for j, c in enumerate(coefficients)][order:]
        if end == "q" and len(moved) <= 4 * ORDER:
            found.append(exact({(Fraction(j), 0): c for j, c in enumerate(moved)}, reach))
            continue
        sign = 1 if end == "q" else -1
        values: list[Coefficient] = [
            sum((math.comb(j, k) * c * sign**k for j, c in enumerate(moved) if j == k or sign < 0),
                start=Fraction(0))
            for k in range(ORDER)
        ]  # fmt: skip
        q = Box(end, 0.0, reach).q
        rest = ZERO
        for j, c in enumerate(moved[ORDER:], start=ORDER):
            factor = math.comb(j, ORDER) * c if end == "p" else c
            rest = rest + power(q, j - ORDER) * factor
        found.append(taylor(values, rest * Fraction(sign**ORDER), reach))
    return _three(found)


def _with_logarithm(formula: Formula, reach: float) -> Three:
    """Terms whose values or slopes have a logarithm, or a real power, of p at p = 0."""
    whole = Fraction(0)
    match formula:
        case Nll():
            powers = ({(whole, 1): _WHOLE}, {(-_WHOLE, 0): _WHOLE}, {(-2 * _WHOLE, 0): _WHOLE})
        case BoxCoxOf(a):
            powers = (
                {(whole, 0): 1 / a, (a, 0): -1 / a},
                {(a - 1, 0): _WHOLE},
                {(a - 2, 0): 1 - a},
            )
        case JensenShannonOf(pi):
            c = 1 - pi
            norm = jensen_shannon_norm(pi)
            base = c / pi
            log_m = log_of_binomial(base, reach) + Local(
                {(whole, 0): logarithm(interval(pi))}, reach
            )
            mixture = exact({(whole, 0): pi, (_WHOLE, 0): c}, reach)
            linear = exact({(whole, 0): _WHOLE, (_WHOLE, 0): -_WHOLE}, reach)
            p_nll = Local({(_WHOLE, 1): -norm}, reach)
            value = linear + p_nll + (mixture * log_m).scaled(-norm * (1 / c))
            logs = Local({(whole, 1): norm, (whole, 0): -norm * logarithm(interval(c))}, reach)
            inverse = binomial(base, Fraction(-1), reach).scaled(-c / pi * norm)
            return value, logs + log_m.scaled(norm), Local({(-_WHOLE, 0): norm}, reach) + inverse
        case _:
            raise TypeError(formula)
    return _three([exact(each, reach) for each in powers])


def _clipped_at(formula: ClippedAt, end: Side, reach: float) -> Three | None:
    box = Box(end, 0.0, reach)
    if end == "q":
        if reach > float(formula.margin):
            return None
        return _three([exact({}, reach)] * 3)
    if reach > 0.25 * float(min(formula.margin, 1 - formula.margin)):
        return None
    here, near = plain_clipped(formula, Box("q", 1.0, 1.0)), plain_clipped(formula, box)
    at_end = value(formula, Box("q", 1.0, 1.0))
    return (
        taylor([at_end, -here[0]], near[1] * Fraction(1, 2), reach),
        taylor([here[0]], -near[1], reach),
        taylor([here[1]], -near[2], reach),
    )


def _shifted(formula: ShiftedBy, end: Side, reach: float) -> Three | None:
    """t' = E t / (1 + (E - 1) t), in which the inner formula is expanded, and the chain rule."""
    e = odds_factor(formula.margin if end == "q" else -formula.margin)
    base = e - 1
    inner_reach = (e * interval(reach) * (1 + base * interval(reach)).reciprocal()).hi
    inner = expand(formula.inner, end, inner_reach) if 0.0 < inner_reach < 1.0 else None
    if inner is None:
        return None
    value, first, second = (_substituted(each, e, reach) for each in inner)
    by = binomial(base, Fraction(-2), reach).scaled(e)
    sign = -2 if end == "q" else 2
    bend = binomial(base, Fraction(-3), reach).scaled(sign * e * base)
    return value, first * by, second * (by * by) + first * bend


def _substituted(function: Local, e: Interval, reach: float) -> Local:
    base = e - 1
    log = log_of_binomial(base, reach) + Local({(Fraction(0), 0): -logarithm(e)}, reach)
    log = log + exact({(Fraction(0), 1): _WHOLE}, reach)
    total = exact({}, reach)
    for (exponent, logs), c in function.terms.items():
        part = binomial(base, -exponent, reach).scaled(power(e, exponent), exponent)
        for _ in range(logs):
            part = part * log
        total = total + part.scaled(c)
    return total
