"""Terms multiplied out, and sums whose leading powers of q cancel.

An expression over nll and powers is a sum of c q^e (-log p)^k. In nll - q, the first term of the
series of nll cancels, and with it all digits of a small q; the value may even fall below 0. Such
sums are evaluated with the remainder T_m of the series, nll = q + ... + q^m / m + T_m, whose powers
are merged with the others before any number is put in. The slope of T_m is q^(m + 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from taylored.core.context import compiling
from taylored.core.numerics import SignedLog
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.known_slope import with_known_slope
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series, collect, log_of_value
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.sums_of_powers import Polynomial, Truncated
from taylored.core.terms.term import Constant, Product, Scaled, Sum, Term
from taylored.core.terms.truncated_sum import remainder

Summands = dict[tuple[int, float], float]
"""(how often times -log p, power of q) -> coefficient."""

MOST_SKIPPED = 8
"""Terms of the series that are merged at most; the kernels know the same number."""

MOST_POWERS = 32
"""The longest sum of powers that is written out."""

_SAME = 1e-9
"""How near two exponents are the same: (0.1 + 3) - 0.1 is a whole number but for its last digit."""


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
        case Truncated() if term.count <= MOST_POWERS:
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


def added(left: Summands, right: Summands) -> Summands:
    """The sum of both."""
    total = dict(left)
    for key, c in right.items():
        total[key] = total.get(key, 0.0) + c
    return total


def multiplied(left: Summands, right: Summands) -> Summands:
    """The product of both."""
    product: Summands = {}
    for (k, e), a in left.items():
        for (m, f), b in right.items():
            key = (k + m, e + f)
            product[key] = product.get(key, 0.0) + a * b
    return product


def merged(summands: Summands) -> tuple[int, Summands]:
    """How many terms of the series of -log p are skipped, and the summands with the remainder.

    The k of the summands counts factors of the remainder then. Nothing is skipped where nothing
    cancels.
    """
    logs = {e: c for (k, e), c in summands.items() if k == 1 and c}
    powers = {e: c for (k, e), c in summands.items() if k == 0 and c}
    against = [
        round(f - e)
        for e, a in logs.items()
        for f, b in powers.items()
        if a * b < 0 and abs(f - e - round(f - e)) < _SAME * max(1.0, f)
    ]
    skipped = max((j for j in against if 1 <= j <= MOST_SKIPPED), default=0)
    if skipped == 0 or any(k > 1 for k, _ in summands):
        return 0, {key: c for key, c in summands.items() if c}
    for e, a in logs.items():
        for j in range(1, skipped + 1):
            here = next((f for f in powers if abs(f - e - j) < _SAME * max(1.0, f)), e + j)
            powers[here] = powers.get(here, 0.0) + a / j
    left = {(0, f): b for f, b in powers.items() if b != 0.0}
    return skipped, {**{(1, e): a for e, a in logs.items()}, **left}


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
            return _with_parts(term, _rewritten(term.left), _rewritten(term.right))
        case Product():
            return _with_parts(term, _rewritten(term.left), _rewritten(term.right))
        case Scaled():
            inner = _rewritten(term.term)
            return term if inner is term.term else Scaled(term.factor, inner)
        case Shifted():
            inner = _rewritten(term.term)
            return term if inner is term.term else Shifted(inner, term.margin)
    return term


def _opposed(term: Sum) -> bool:
    """Whether both parts have the same power, with opposite signs."""
    left, right = summands_of(term.left) or {}, summands_of(term.right) or {}
    return any(c * right.get(key, 0.0) < 0 for key, c in left.items())


def _with_parts(term: Sum | Product, left: Term, right: Term) -> Term:
    if left is term.left and right is term.right:
        return term
    return type(term)(left, right)
