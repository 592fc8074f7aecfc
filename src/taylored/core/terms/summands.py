"""Terms multiplied out, and sums whose leading powers of q cancel.

An expression over nll and powers is a sum of c q^e (-log p)^k. In nll - q, the first term of the
series of nll cancels, and with it all digits of a small q; the value may even fall below 0. Such
sums are evaluated with the remainder T_m of the series, nll = q + ... + q^m / m + T_m, whose powers
are merged with the others before any number is put in. The slope of T_m is q^(m + 1).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from taylored.core.context import compiling
from taylored.core.numerics import SignedLog
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.known_slope import with_known_slope
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import (
    Series,
    Summands,
    added,
    collect,
    log_of_value,
    merged,
    multiplied,
)
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.sums_of_powers import Polynomial, Truncated
from taylored.core.terms.term import Constant, Product, Scaled, Sum, Term
from taylored.core.terms.truncated_sum import remainder

MOST_POWERS = 32
"""The longest sum of powers that is written out."""


def summands_of(term: Term) -> Summands | None:
    """The summands; None for another form, or exponents per class."""
    match term:
        case Cancelling():
            return term.as_written()
        case NegativeLogLikelihood():
            return {(1, 0.0): 1.0}
        case Power():
            return None if isinstance(term.exponent, Tensor) else {(0, term.exponent): 1.0}
        case Constant():
            return {(0, 0.0): term.number}
        case Polynomial() if len(term.coefficients) <= MOST_POWERS:
            return {(0, float(j)): a for j, a in enumerate(term.coefficients, 1)}
        case Truncated() if term.first == 1 and term.count <= MOST_POWERS:
            return {(0, float(j)): 1.0 / j for j in range(1, term.count + 1)}
        case Scaled():
            inner = summands_of(term.term)
            return None if inner is None else {key: term.factor * c for key, c in inner.items()}
        case Sum() | Product():
            left, right = summands_of(term.left), summands_of(term.right)
            if left is None or right is None:
                return None
            return added(left, right) if isinstance(term, Sum) else multiplied(left, right)
    return None


@dataclass(frozen=True, eq=False, repr=False)
class Cancelling(Term):
    """A sum whose leading powers cancel, in a form that keeps its digits.

    Attributes:
        skipped: how many terms of the series of -log p are merged with the other powers.
        summands: what is left, with the remainder in the place of -log p.
    """

    skipped: int
    summands: Summands

    def evaluate(self, at: Point) -> Tensor:
        """The value. Autograd would cancel digits of its derivative, which is known."""
        return with_known_slope(
            at.margin,
            lambda point: self._combined(point, self._rest(point))[0],
            lambda point: self._combined(point, self._differentiable_rest(point))[1],
        )

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """Value and slope, by the product rule."""
        return self._combined(at, self._rest(at))

    def _rest(self, at: Point) -> Tensor:
        return remainder(at.q, at.nll, self.skipped) if self.skipped else at.nll

    def _differentiable_rest(self, at: Point) -> Tensor:
        if not self.skipped:
            return at.nll
        return with_known_slope(at.margin, self._rest, self._rest_slope)

    def _rest_slope(self, at: Point) -> Tensor:
        return at.q_power(self.skipped + 1.0)

    def _combined(self, at: Point, rest: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = torch.zeros_like(at.q), torch.zeros_like(at.q)
        for (k, e), c in self.summands.items():
            power = c * at.q_power(e)
            mine = power * rest if k else power
            value = value + mine
            slope = slope + e * at.p * mine
            if k:
                slope = slope + power * self._rest_slope(at)
        return value, slope

    def logarithms(self, at: Point) -> tuple[SignedLog, SignedLog]:
        """By the product rule, with the logarithm of the remainder."""
        m, none = self.skipped, SignedLog.of(torch.zeros_like(at.margin))
        beyond = [(j, 1.0 / j) for j in range(m + 1, m + 4)]
        rest = log_of_value(
            lambda point: remainder(point.q, point.nll, m) if m else point.nll,
            collect(beyond, len(beyond)),
            at,
        )
        p, rest_slope = SignedLog.positive(at.log_p), SignedLog.positive((m + 1) * at.log_q)
        value = slope = none
        for (k, e), c in self.summands.items():
            power = SignedLog.positive(e * at.log_q).scaled(c)
            mine = power.times(rest) if k else power
            value = value.plus(mine)
            slope = slope.plus(mine.times(p).scaled(e))
            if k:
                slope = slope.plus(power.times(rest_slope))
        return value, slope

    def series(self, order: int) -> Series:
        """The powers, and those that the remainder has."""
        pairs = [(e, c) for (k, e), c in self.summands.items() if k == 0]
        for (k, e), c in self.summands.items():
            beyond = range(self.skipped + 1, self.skipped + order + 1) if k else ()
            pairs += [(e + j, c / j) for j in beyond]
        return collect(pairs, order)

    def as_written(self) -> Summands:
        """The summands with -log p."""
        logs = {e: c for (k, e), c in self.summands.items() if k}
        first = {(0, e + j): -c / j for e, c in logs.items() for j in range(1, self.skipped + 1)}
        return added(self.summands, first)

    def __repr__(self) -> str:
        return f"cancelling({self.skipped}, {self.summands})"


_known: WeakKeyDictionary[Term, Term | None] = WeakKeyDictionary()
"""The form to evaluate; None for the term itself, which the dictionary must not keep alive."""


def settled(term: Term) -> Term:
    """The term, with the sums in it that cancel in a form that keeps their digits."""
    if compiling():
        return _rewritten(term)
    try:
        found = _known[term]
    except KeyError:
        found = _rewritten(term)
        found = _known[term] = None if found is term else found
    return term if found is None else found


def _rewritten(term: Term) -> Term:
    match term:
        case Sum():
            summands = summands_of(term)
            if summands is not None:
                skipped, left = merged(summands)
                cancels = skipped > 0 or _opposed(term)
                return Cancelling(skipped, left) if cancels else term
            return _regrouped(term)
        case Product():
            return _with_parts(term, _rewritten(term.left), _rewritten(term.right))
        case Scaled():
            inner = _rewritten(term.term)
            return term if inner is term.term else Scaled(term.factor, inner)
        case Shifted():
            inner = _rewritten(term.term)
            return term if inner is term.term else Shifted(inner, term.margin)
    return term


def _regrouped(term: Sum) -> Term:
    """A sum whose parts have no common form: those of one are brought together, and may cancel."""
    together, others = list[Term](), list[Term]()
    for factor, part in _parts(term, 1.0):
        scaled = part if factor == 1.0 else Scaled(factor, part)
        (others if summands_of(part) is None else together).append(scaled)
    if together:
        whole = functools.reduce(Sum, together)
        found = _rewritten(whole)
        if found is not whole:
            return functools.reduce(Sum, map(_rewritten, others), found)
    return _with_parts(term, _rewritten(term.left), _rewritten(term.right))


def _parts(term: Term, factor: float) -> Iterator[tuple[float, Term]]:
    match term:
        case Sum():
            yield from _parts(term.left, factor)
            yield from _parts(term.right, factor)
        case Scaled():
            yield from _parts(term.term, factor * term.factor)
        case Truncated() if term.first == 1 and term.count > MOST_POWERS:
            yield from ((factor, part) for part in term.divided(MOST_POWERS))
        case _:
            yield factor, term


def _opposed(term: Term) -> bool:
    """Whether two parts of a sum have the same power, with opposite signs."""
    if isinstance(term, Scaled):
        return _opposed(term.term)
    if not isinstance(term, Sum):
        return False
    left, right = summands_of(term.left) or {}, summands_of(term.right) or {}
    here = any(c * right.get(key, 0.0) < 0 for key, c in left.items())
    return here or _opposed(term.left) or _opposed(term.right)


def _with_parts(term: Sum | Product, left: Term, right: Term) -> Term:
    if left is term.left and right is term.right:
        return term
    return type(term)(left, right)
