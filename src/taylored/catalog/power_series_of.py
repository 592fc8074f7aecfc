"""What a loss looks like from outside: its power series."""

from __future__ import annotations

from taylored.core.checks import fail
from taylored.core.terms.power_series import Series
from taylored.core.terms.term import Term
from taylored.modules.classification import ClassificationLoss


def series(loss: ClassificationLoss | Term, order: int) -> Series:
    """The lowest `order` powers of q = 1 - p_t in a loss of the family.

    Args:
        loss: a loss module of the p_t family, or a term.
        order: how many powers to keep, >= 1; raising it covers smaller p_t.

    Returns:
        Exponents and coefficients, lowest first; call it with a p to sum them.

    Raises:
        ValueError: for a loss that is not a function of p_t.

    Example:
        >>> from taylored import PolyLoss
        >>> series(PolyLoss(epsilon=2.0), 3)
        3*q^1 + 0.5*q^2 + 0.3333*q^3

    Reference:
        Leng et al., PolyLoss, ICLR 2022, equation 1.
    """
    if not isinstance(loss, (ClassificationLoss, Term)):
        fail(
            "loss", "a loss of the p_t family, or a term", type(loss).__name__, "see the catalogue"
        )
    if order < 1:
        fail("order", "a whole number >= 1", order, "ask for at least one power")
    return (loss if isinstance(loss, Term) else loss.term).series(order)
