"""Whether a loss rises with p somewhere: asked whenever one is built, in microseconds if not.

Nothing here is needed for training, and hardly anything for a sensible loss: a term of the usual
kind is seen to fall from the signs of its factors. Only where that is in doubt the prover is
imported and decides.
"""

from __future__ import annotations

from taylored.core.terms.clipped_focal import ClippedFocal
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.noise_robust import BoxCox, JensenShannon
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.sums_of_powers import Polynomial, Truncated
from taylored.core.terms.term import Constant, Product, Scaled, Sum, Term

_MOST_CLASSES = 64
"""Terms with more numbers per class are not asked about."""

_TOLERANCE = 1e-12
"""Coefficients that cancel up to rounding, as -1/3 and the third of cross-entropy, do."""


def surely_falls(term: Term) -> bool:
    """Whether a term is seen to be >= 0 and never to rise with p. False where in doubt."""
    match term:
        case Power() | Truncated() | NegativeLogLikelihood() | BoxCox() | JensenShannon():
            return True
        case ClippedFocal():
            return True
        case Constant():
            return term.number >= 0
        case Shifted():
            return surely_falls(term.term)
        case Scaled():
            return term.factor >= 0 and surely_falls(term.term)
        case Product():
            return surely_falls(term.left) and surely_falls(term.right)
        case Polynomial():
            return min(term.coefficients) >= 0 or _outweighed(term)
        case Sum():
            both = surely_falls(term.left) and surely_falls(term.right)
            return both or _outweighed(term)
    return False


def _outweighed(term: Term) -> bool:
    """Whether the negative coefficients of a sum of powers are made up for by others.

    Either each by the coefficient of -q^gamma log p at the same power, a / j at q^(gamma + j), or
    all together by the lowest power, which is the largest.
    """
    bases: list[tuple[float, float]] = []
    powers: list[tuple[float, float]] = []
    if not _split(term, 1.0, bases, powers):
        return False
    negative = [(c, e) for c, e in powers if c < 0.0]
    if all(any(_made_up(c, e, *base) for base in bases) for c, e in negative):
        return len(bases) == 1 and len({e for _, e in negative}) == len(negative)
    moving = [(c, e) for c, e in powers if e > 0.0] + [(a, gamma + 1.0) for a, gamma in bases]
    first = min((e for c, e in moving if c), default=0.0)
    total = sum(e * c for c, e in moving if c < 0.0 or e == first)
    return bool(moving) and total >= -_TOLERANCE


def _made_up(c: float, e: float, a: float, gamma: float) -> bool:
    j = round(e - gamma)
    return j >= 1 and abs(e - gamma - j) < 1e-9 and c + a / j >= -_TOLERANCE


def _split(
    term: Term, factor: float, bases: list[tuple[float, float]], powers: list[tuple[float, float]]
) -> bool:
    """A sum as (a, gamma) of a q^gamma -log p, and (c, e) of c q^e; whether it is one of these."""
    match term:
        case Sum():
            first = _split(term.left, factor, bases, powers)
            return first and _split(term.right, factor, bases, powers)
        case Scaled():
            return _split(term.term, factor * term.factor, bases, powers)
        case Polynomial():
            powers.extend((factor * c, float(j)) for j, c in enumerate(term.coefficients, 1) if c)
            return True
        case Power() if isinstance(term.exponent, float):
            powers.append((factor, term.exponent))
            return True
        case NegativeLogLikelihood():
            bases.append((factor, 0.0))
            return factor >= 0.0
        case Product():
            focus = term.left
            exponent = focus.exponent if isinstance(focus, Power) else None
            if isinstance(term.right, NegativeLogLikelihood) and isinstance(exponent, float):
                bases.append((factor, exponent))
                return factor >= 0.0
    return False


def where_it_rises(term: Term) -> str | None:
    """The p at which a term rises, in words; None if it does not, or nobody knows."""
    found = [_rising(repr(each), each) for each in _per_class(term)]
    return next((text for text in found if text), None)


def _per_class(term: Term) -> list[Term]:
    given = term.parameters()
    count = max((parameter.numel() for parameter in given), default=1)
    if not given or count > _MOST_CLASSES:
        return [] if given else [term]
    from taylored.certificates.certify import bound

    return [bound(term, index) for index in range(count)]


_KNOWN: dict[str, str | None] = {}
"""What was found for the terms asked about, by their texts."""


def _rising(text: str, term: Term) -> str | None:
    if text not in _KNOWN:
        if len(_KNOWN) >= 256:
            _KNOWN.clear()
        _KNOWN[text] = _found(term)
    return _KNOWN[text]


def _found(term: Term) -> str | None:
    from taylored.certificates.formula import formula_of
    from taylored.certificates.prover.analysis import signs
    from taylored.certificates.prover.quantities import GAIN

    try:
        formula = formula_of(term)
    except ValueError:  # a term of the user's own
        return None
    pieces = []
    for cell in signs(formula, GAIN).cells:
        if cell.sign == "-":
            box = cell.box
            pieces.append((box.lo, box.hi) if box.side == "p" else (1.0 - box.hi, 1.0 - box.lo))
    if not pieces:
        return None
    low, high = min(low for low, _ in pieces), max(high for _, high in pieces)
    return f"({low:.3g}, {high:.3g})"
