"""Whether a loss rises with p somewhere, asked whenever one is built: microseconds where it is fine.

Nothing here is needed for training, and hardly anything for a sensible loss: a term of the usual
kind is seen to fall from the signs of its factors. Only where that is in doubt the prover is
imported and decides.
"""

from __future__ import annotations

import functools
import warnings

from taylored.core.context import compiling
from taylored.core.terms.clipped_focal import ClippedFocal
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.noise_robust import BoxCox, JensenShannon
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.sums_of_powers import Polynomial, Truncated
from taylored.core.terms.term import Constant, Product, Scaled, Sum, Term

_TOLERANCE = 1e-12
"""Coefficients that cancel up to rounding, as -1/3 and the third of cross-entropy, do."""


def warn_if_rising(term: Term, loss: object, outcome: str = "") -> None:
    """Warn if the loss of a term does not fall with p everywhere.

    Args:
        term: as it was built.
        loss: what the warning calls it, by its repr.
        outcome: which outcome the term is of, if there are two.
    """
    if compiling() or surely_falls(term):
        return
    rises = _rises(_Key(term))
    if rises is not None:
        of = f" of {outcome}" if outcome else ""
        warnings.warn(
            f"{loss!r}: the loss{of} stops falling where p_t is in {rises}: there a better "
            f"prediction costs more. {_advice(term)} `taylored certify` shows the proof",
            UserWarning,
            stacklevel=2,
        )


def surely_falls(term: Term) -> bool:
    """Whether a term is seen to be >= 0 and never to rise with p. False where in doubt."""
    match term:
        case NegativeLogLikelihood() | Power() | Truncated() | BoxCox() | JensenShannon():
            return True
        case ClippedFocal():
            return True
        case Constant():
            return term.number >= 0
        case Polynomial():
            return all(a >= 0 for a in term.coefficients) or _first_outweighs(term, 0.0, None)
        case Shifted():
            return surely_falls(term.term)
        case Scaled():
            return term.factor >= 0 and surely_falls(term.term)
        case Product():
            return surely_falls(term.left) and surely_falls(term.right)
        case Sum():
            both = surely_falls(term.left) and surely_falls(term.right)
            return both or _outweighs(term)
    return False
