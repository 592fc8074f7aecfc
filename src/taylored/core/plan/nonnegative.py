"""Losses that always pull towards the truth: their gradients need no absolute values."""

from __future__ import annotations

from taylored.core.plan.plan import Plan
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.sums_of_powers import Polynomial, Truncated
from taylored.core.terms.term import Product, Scaled, Sum, Term


def never_negative(term: Term) -> bool:
    """Whether value and slope of a term are known to be >= 0 at every p. False where in doubt."""
    match term:
        case NegativeLogLikelihood() | Power() | Truncated():
            return True
        case Polynomial():
            return all(coefficient >= 0 for coefficient in term.coefficients)
        case Scaled():
            return term.factor >= 0 and never_negative(term.term)
        case Sum() | Product():
            return never_negative(term.left) and never_negative(term.right)
    return False


def pulls_never_negative(plan: Plan) -> bool:
    """The same for a whole plan. It looks at the weights, so call it where that costs no sync."""
    if plan.rejection is not None or not never_negative(plan.term):
        return False
    weights = (plan.rows, plan.positive, plan.negative)
    return all(weight is None or bool((weight >= 0).all()) for weight in weights)
