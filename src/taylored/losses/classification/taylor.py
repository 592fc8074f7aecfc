"""Taylor loss: the first terms of the cross-entropy series."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.remembered import remembered
from taylored.core.terms.sums_of_powers import truncated
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["TaylorLoss", "taylor_loss"]


@remembered
def taylor_term(num_terms: int) -> Term:
    """Sum of (1 - p)^j / j for j up to num_terms (Feng et al. 2020, equation 8)."""
    return truncated(int(num_terms))


class TaylorLoss(EitherLinkLoss):
    r"""Taylor cross-entropy (Drop-N), :math:`\sum_{j=1}^{N} (1 - p_t)^j / j`.

    This is cross-entropy without the high powers, which come from samples that the model gets
    badly wrong: a bounded loss that tolerates label noise. Its gradient is cross-entropy's times
    1 - q^N with q = 1 - p_t, so that with few terms learning is slow where p_t starts small; with C
    classes think of N around C and more. Any N costs the same time and memory.

    Example:
        >>> import torch
        >>> loss = TaylorLoss(num_terms=600)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)
    """

    num_terms: Annotated[
        int,
        About(
            "how many terms are kept (N); raising it approaches cross-entropy, 1 is the mean "
            "absolute error 1 - p_t",
            within="[1, 10000000]",
            domain="a whole number from 1 to 10 000 000",
            fix="give the number of terms to keep; beyond that it is cross-entropy",
            search=(1, 10_000, "log"),
        ),
    ] = 2

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return taylor_term(self.num_terms)


@function_of(TaylorLoss)
def taylor_loss(
    input: Logits, target: Tensor, *, num_terms: int = 2, **shared: Unpack[EitherLinkCall]
) -> Tensor:
    r"""Taylor cross-entropy (Drop-N), :math:`\sum_{j=1}^{N} (1 - p_t)^j / j`.

    Example:
        >>> import torch
        >>> taylor_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), num_terms=2)
        tensor(0.1263)
    """
    return p_t_loss(input, target, taylor_term(num_terms), Options(**shared))


SPEC = spec_of(
    "taylor",
    TaylorLoss,
    taylor_loss,
    summary="the first N terms of the cross-entropy series: bounded, robust to label noise",
    formula=r"\sum_{j=1}^{N} \frac{(1 - p_t)^j}{j}",
    reference=Reference(
        "Feng, Shu, Lin, Lv, Li, An",
        "Can Cross Entropy Loss Be Robust to Label Noise?",
        "IJCAI 2020",
        "equation 8; Drop-N in PolyLoss, ICLR 2022, section 4.1",
    ),
    differs={
        "CoinCheung/pytorch-loss": "its Taylor softmax expands the exponential instead; a "
        "different loss",
    },
    value_range="[0, harmonic number of N]",
    examples=(
        "taylor(num_terms=1)",
        "taylor(num_terms=3)",
        "taylor(num_terms=700)",
        'taylor(num_terms=40, link="sigmoid", alpha=0.25)',
    ),
    identities={"taylor(num_terms=3)": "series(coefficients=[1, 0.5, 0.3333333333333333])"},
)
