"""Series loss: any coefficients of the powers of 1 - p_t."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.sums_of_powers import series
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["SeriesLoss", "series_loss"]


def series_term(coefficients: Sequence[float]) -> Term:
    """Sum of a_j (1 - p)^j (Leng et al. 2022, equation 1)."""
    return series(coefficients)


class SeriesLoss(EitherLinkLoss):
    r"""A loss from its coefficients, :math:`\sum_{j=1}^{J} a_j (1 - p_t)^j`.

    This is the general member of the PolyLoss family, for coefficients that were searched or
    learned elsewhere. With every a_j >= 0 the loss falls as p_t rises; negative coefficients are
    allowed, with a warning if they break that.

    Example:
        >>> import torch
        >>> SeriesLoss(coefficients=[3.0, 0.5])(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.3647)
    """

    falls_if = "no coefficient is negative"
    coefficients: Annotated[
        Sequence[float],
        About(
            "the factors a_1, a_2, ... of the powers; raising a low one weighs confident samples "
            "more, raising a high one badly wrong samples; (1,) is the mean absolute error",
            domain="a sequence of at least one number",
            fix="give the factor of (1 - p) first",
        ),
    ] = (1.0,)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return series_term(self.coefficients)


@function_of(SeriesLoss)
def series_loss(
    input: Logits,
    target: Tensor,
    *,
    coefficients: Sequence[float] = (1.0,),
    **shared: Unpack[EitherLinkCall],
) -> Tensor:
    r"""A loss from its coefficients, :math:`\sum_{j=1}^{J} a_j (1 - p_t)^j`.

    Example:
        >>> import torch
        >>> series_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), coefficients=[1, 0.5])
        tensor(0.1263)
    """
    return p_t_loss(input, target, series_term(coefficients), Options(**shared))


SPEC = spec_of(
    "series",
    SeriesLoss,
    series_loss,
    summary="any coefficients of the powers of 1 - p_t",
    formula=r"\sum_{j=1}^{J} a_j (1 - p_t)^j",
    reference=Reference(
        "Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov",
        "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
        "ICLR 2022",
        "equation 1",
    ),
    value_range="[0, sum of the coefficients] for coefficients >= 0",
    examples=(
        "series(coefficients=[1, 0.5])",
        "series(coefficients=[3, 0, 0.3, 0.25])",
        'series(coefficients=[1, 0.2], link="sigmoid", alpha=0.25)',
    ),
    identities={"series(coefficients=[1])": "taylor(num_terms=1)"},
)
