"""A term near p = 1 (in s = q) or near p = 0 (in s = p), as a sum of s^e L^k A(s), L = -log s.

Every A is analytic and known twice: by its Taylor coefficients at s = 0, and by those at all points
of [0, reach] together. The N-th of the latter is the remainder of the former, by Taylor's theorem,
and both are differentiated term by term.
"""

from __future__ import annotations

import math
from fractions import Fraction

from taylored.certificates.checker import taylor
from taylored.certificates.checker.arithmetic import (
    Number,
    between,
    exp,
    iv,
    log,
    plus,
    power,
    times,
    wide,
)
from taylored.certificates.checker.evaluate import sum_of_powers
from taylored.certificates.checker.taylor import Taylor

LENGTH = 8
"""Coefficients that are kept, the last one as a remainder."""

Analytic = tuple[Taylor, Taylor]
"""At 0, and on [0, reach]."""

Local = dict[tuple[Fraction, int], Analytic]
"""(e, k) -> A."""

_ONE = Fraction(1)
_PLAIN = (Fraction(0), 0)


def both(rule: object, *given: Analytic) -> Analytic:
    """A rule of Taylor arithmetic at 0 and on the whole piece."""
    return tuple(rule(*(each[i] for each in given)) for i in (0, 1))  # type: ignore[operator]


def derivative(local: Local) -> Local:
    """d/ds."""
    total: Local = {}
    for (e, k), a in local.items():
        length = len(a[0]) - 1
        shorter = both(lambda c, n=length: c[:n], a)
        if e:
            _put(total, (e - 1, k), both(lambda c, f=e: taylor.scale(c, f), shorter))
        if k:
            _put(total, (e - 1, k - 1), both(lambda c, f=k: taylor.scale(c, Fraction(-f)), shorter))
        _put(total, (e, k), both(taylor.derived, a))
    return total


def _put(total: Local, key: tuple[Fraction, int], a: Analytic) -> None:
    total[key] = both(taylor.add, total[key], a) if key in total else a


def monomials(local: Local) -> dict[tuple[Fraction, int], Number]:
    """(exponent, power of L) -> coefficient; those of the remainders hold for all s <= reach."""
    total: dict[tuple[Fraction, int], Number] = {}
    for (e, k), (at_zero, everywhere) in local.items():
        for j, c in enumerate([*at_zero[:-1], everywhere[-1]]):
            key = (e + j, k)
            total[key] = plus(total.get(key, Fraction(0)), c)
    return {key: c for key, c in total.items() if not _is_zero(c)}


def _is_zero(c: Number) -> bool:
    return not c if isinstance(c, Fraction) else bool(c.a == 0 == c.b)


class End:
    """One end of (0, 1), up to a reach."""

    def __init__(self, side: str, reach: float) -> None:
        self.side, self.reach = side, reach
        piece = between(0.0, reach)
        s: Analytic = ([Fraction(0), _ONE, *_zeros(2)], [piece, _ONE, *_zeros(2)])
        self.factor = _constant(_ONE)
        self.top: Number = iv.mpf(reach)
        self._place(s)

    def _place(self, s: Analytic) -> None:
        """`s` is the small one of p and q, and `factor` its ratio to the variable."""
        self.small = s
        self.large = both(lambda c: [plus(_ONE, -c[0]), *taylor.scale(c[1:], Fraction(-1))], s)
        self.large[1][0] = _hull(1 - wide(self.top), _ONE)
        self.minus_log_large = both(_minus_log, self.large)

    def in_product(self) -> End:
        """The same end: values are always found."""
        return self

    def number(self, value: Fraction) -> Local:
        """A constant."""
        return {_PLAIN: _constant(value)}

    def add(self, a: Local, b: Local) -> Local:
        """The sum."""
        total = dict(a)
        for key, value in b.items():
            _put(total, key, value)
        return total

    def mul(self, a: Local, b: Local) -> Local:
        """The product."""
        total: Local = {}
        for (e, k), x in a.items():
            for (f, j), y in b.items():
                _put(total, (e + f, k + j), both(taylor.mul, x, y))
        return total

    def _small_power(self, exponent: Fraction) -> Local:
        return {(exponent, 0): both(lambda c: taylor.power_of(c, exponent), self.factor)}

    def _large_power(self, exponent: Fraction) -> Local:
        return {_PLAIN: both(lambda c: taylor.power_of(c, exponent), self.large)}

    def nll(self) -> Local:
        """-log p."""
        if self.side == "q":
            return {_PLAIN: self.minus_log_large}
        return {(Fraction(0), 1): _constant(_ONE), _PLAIN: both(_minus_log, self.factor)}

    def q_power(self, exponent: Fraction) -> Local:
        """q ** exponent."""
        return self._small_power(exponent) if self.side == "q" else self._large_power(exponent)

    def p_power(self, exponent: Fraction) -> Local:
        """p ** exponent."""
        return self._small_power(exponent) if self.side == "p" else self._large_power(exponent)

    def jensen_shannon(self, pi: Fraction) -> Local:
        """q + (c p log p - m log m) / Z, m = pi + c p, Z = -c log c; for s = q, begins with q."""
        c = 1 - pi
        norm = wide(_ONE) / (wide(-c) * log(c))
        p = self.large if self.side == "q" else self.small
        q = self.small if self.side == "q" else self.large
        m = both(lambda x: taylor.add(taylor.constant(pi, len(x)), taylor.scale(x, c)), p)
        m_log_m = both(lambda x: taylor.scale(taylor.mul(x, taylor.log_of(x)), -norm), m)
        p_nll = self.mul({_PLAIN: p} if self.side == "q" else self.p_power(_ONE), self.nll())
        scaled = {key: both(lambda x: taylor.scale(x, times(-c, norm)), a)
                  for key, a in p_nll.items()}  # fmt: skip
        found = self.add(scaled, {_PLAIN: both(taylor.add, m_log_m, q)})
        if self.side == "q":  # exactly 0 and, times the slope of q, 1
            found[_PLAIN][0][:2] = [Fraction(0), self.small[0][1]]
        return found

    def truncated(self, count: int) -> Local:
        """Composed from the Taylor coefficients of the sum in q."""
        q = self.small if self.side == "q" else self.large

        def at(k: int, x: Number, top: Number) -> Number:
            """The k-th coefficient for q between x and top, all positive and rising."""
            if not k:
                return iv.mpf([sum_of_powers(count, wide(x)).a, sum_of_powers(count, wide(top)).b])
            if self.side == "q":
                least = Fraction(1, k) if k <= count else Fraction(0)
                return least if top == 0 else _hull(least, power(1 - wide(top), Fraction(-k)) / k)
            full = Fraction(math.comb(count, k), k)
            if x == 1:
                return full
            lowered = times(full, power(wide(x), Fraction(max(count - k, 0))))
            return _hull(lowered, full)

        end = Fraction(0) if self.side == "q" else _ONE
        far = q[1][0]
        low, high = iv.mpf(far.a), iv.mpf(far.b)
        value = Fraction(0) if self.side == "q" else at(0, _ONE, _ONE)
        return {_PLAIN: (
            taylor.composed(lambda k: at(k, end, end) if k else value, q[0]),
            taylor.composed(lambda k: at(k, low, high), q[1]),
        )}  # fmt: skip

    def clipped(self, gamma: Fraction, margin: Fraction) -> Local:
        """Nothing near q = 0, and analytic near p = 0."""
        q = self.small if self.side == "q" else self.large
        excess = both(lambda c: [plus(c[0], -margin), *c[1:]], q)
        if self.side == "q" and wide(excess[1][0]).b <= 0:
            return {}
        p = self.large if self.side == "q" else self.small
        rest = both(lambda c: [plus(c[0], margin), *c[1:]], p)
        focus = both(lambda c: taylor.power_of(c, gamma), excess)
        return {_PLAIN: both(taylor.mul, focus, both(_minus_log, rest))}

    def shifted(self, margin: Fraction) -> End:
        """With s' = E s / (E s + 1 - s), E = exp(margin) for s = q and exp(-margin) for s = p."""
        e = exp(margin if self.side == "q" else -margin)
        below = both(taylor.add, self.large, both(lambda c: taylor.scale(c, e), self.small))
        over = both(lambda c: taylor.scale(taylor.power_of(c, Fraction(-1)), e), below)
        moved = End(self.side, self.reach)
        moved.factor = both(taylor.mul, self.factor, over)
        small = both(taylor.mul, self.small, over)
        # s' rises with s, and its ratio to s moves one way: both are known sharply by their ends.
        top = wide(self.top)
        moved.top = e * top / (e * top + (1 - top))
        small[1][0] = _hull(Fraction(0), moved.top)
        ends = wide(moved.factor[0][0]), moved.top / iv.mpf(self.reach)
        moved.factor[1][0] = iv.mpf([min(x.a for x in ends), max(x.b for x in ends)])
        moved._place(small)
        return moved


def _zeros(beginning: int) -> list[Fraction]:
    return [Fraction(0)] * (LENGTH - beginning)


def _constant(value: Number) -> Analytic:
    return taylor.constant(value, LENGTH), taylor.constant(value, LENGTH)


def _minus_log(c: Taylor) -> Taylor:
    return taylor.scale(taylor.log_of(c), Fraction(-1))


def _hull(low: Number, high: Number) -> Number:
    return iv.mpf([wide(low).a, wide(high).b])
