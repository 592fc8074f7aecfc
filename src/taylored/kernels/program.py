"""A term as data for the native kernels: phi = q^gamma (-log p A(q) + B(q)), or not at all.

An expression is multiplied out into summands c q^e (-log p)^k. It has this form if every k is 0 or
1 and the exponents differ by small whole numbers. That holds for cross-entropy, focal and poly
losses, short Taylor series, explicit series, and their sums and products. The torch executors run
everything else.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from torch import Tensor

from taylored.core.context import compiling
from taylored.core.terms.elementary import Power
from taylored.core.terms.power_series import Summands, added, merged, multiplied
from taylored.core.terms.summands import summands_of
from taylored.core.terms.term import Product, Scaled, Sum, Term

MOST_POWERS = 32
"""The longest polynomial. For longer ones the closed forms of the torch executors are faster."""


@dataclass(frozen=True, eq=False)
class Program:
    """One term for the kernels; the arrays live as long as it does.

    Attributes:
        gamma: the common power of q.
        gammas: one for each class instead, or None.
        log_factor: coefficients of A, from q^0 up.
        rest: those of B.
        skipped: how many terms of the series of -log p are left out, because B has them.
    """

    gamma: float
    gammas: Tensor | None
    log_factor: Sequence[float]
    rest: Sequence[float]
    skipped: int


_known: WeakKeyDictionary[Term, Program | None] = WeakKeyDictionary()


def program_of(term: Term) -> Program | None:
    """The term as data, or None. The answer is kept, because terms never change."""
    if compiling():
        return _translated(term)
    try:
        return _known[term]
    except KeyError:
        program = _known[term] = _translated(term)
        return program


class _OtherForm(Exception):  # noqa: N818 - not an error, the answer "no"
    """The term is not of the form."""


def _translated(term: Term) -> Program | None:
    try:
        summands, gammas = _expanded(term)
        return _collected(summands, gammas)
    except _OtherForm:
        return None


def _expanded(term: Term) -> tuple[Summands, Tensor | None]:
    """The summands, and the per-class exponents that all of them share."""
    match term:
        case Power() if isinstance(term.exponent, Tensor):
            return {(0, 0.0): 1.0}, term.exponent
        case Scaled():
            inner, gammas = _expanded(term.term)
            return {key: term.factor * c for key, c in inner.items()}, gammas
        case Sum():
            return _added(_expanded(term.left), _expanded(term.right))
        case Product():
            return _multiplied(_expanded(term.left), _expanded(term.right))
    found = summands_of(term)
    if found is None:
        raise _OtherForm
    return found, None


def _added(
    left: tuple[Summands, Tensor | None], right: tuple[Summands, Tensor | None]
) -> tuple[Summands, Tensor | None]:
    if left[1] is not right[1]:
        raise _OtherForm
    return added(left[0], right[0]), left[1]


def _multiplied(
    left: tuple[Summands, Tensor | None], right: tuple[Summands, Tensor | None]
) -> tuple[Summands, Tensor | None]:
    if left[1] is not None and right[1] is not None:
        raise _OtherForm
    product = multiplied(left[0], right[0])
    if any(k > 1 for k, _ in product):
        raise _OtherForm
    return product, left[1] if right[1] is None else right[1]


def _collected(summands: Summands, gammas: Tensor | None) -> Program:
    """The two polynomials over the lowest power."""
    skipped, summands = merged(summands)
    summands = {key: c for key, c in summands.items() if c != 0.0} or {(0, 0.0): 0.0}
    # Per-class exponents are the common power themselves.
    lowest = 0.0 if gammas is not None else min(e for _, e in summands)
    factors: tuple[list[float], list[float]] = ([], [])
    for (k, exponent), c in summands.items():
        steps = exponent - lowest
        j = round(steps)
        # (0.1 + 3) - 0.1 is a whole number but for its last digit.
        if abs(steps - j) > 1e-12 * max(1.0, exponent) or j > MOST_POWERS:
            raise _OtherForm
        polynomial = factors[1 - k]
        polynomial.extend([0.0] * (j + 1 - len(polynomial)))
        polynomial[j] += c
    log_factor, rest = map(_in_memory, factors)
    return Program(lowest, gammas, log_factor, rest, skipped)


def _in_memory(polynomial: list[float]) -> Sequence[float]:
    """Numbers that have an address; a compiler, which records no addresses, gets the list."""
    return polynomial if compiling() else array("d", polynomial)
