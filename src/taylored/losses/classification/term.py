"""A loss from any term of the algebra."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.term import Term
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["TermLoss", "term_loss"]


class TermLoss(EitherLinkLoss):
    """The loss of any term: write a formula, get a stable one-pass loss.

    Exponents given per class move with the module only if they are rebuilt from its buffers; for
    that use a named loss.

    Example:
        >>> import torch
        >>> from taylored import terms
        >>> loss = TermLoss(terms.power(1) * terms.nll, logit_bias=[0.0, 1.0])
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0842)

    Reference:
        Leng et al., PolyLoss, ICLR 2022, equation 1: a loss as a function of p_t.
    """

    term: Annotated[
        Term,
        About("the loss as a function of p_t", domain="an expression over `taylored.terms`"),
    ] = positional(kw_only=False)
    logit_bias: Annotated[
        PerClass | None,
        About(
            "added to the logits per class while training; log class frequencies give the balanced "
            "softmax. Raising a class's bias demands a larger margin for the others",
            slot=True,
        ),
    ] = None
    temperature: Annotated[
        float,
        About(
            "divides the logits, after the bias; raising it softens probabilities",
            within="(0, inf)",
            slot=True,
        ),
    ] = 1.0


@function_of(TermLoss)
def term_loss(
    input: Logits,
    target: Tensor,
    term: Term,
    *,
    logit_bias: PerClass | None = None,
    temperature: float = 1.0,
    **shared: Unpack[EitherLinkCall],
) -> Tensor:
    """The loss of any term, with every slot of the engine.

    Example:
        >>> import torch
        >>> from taylored import terms
        >>> generalised = 1.5 * terms.nll + 0.5 * terms.power(2)
        >>> term_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), generalised)
        tensor(0.1975)
    """
    options = Options(logit_bias=logit_bias, temperature=temperature, **shared)
    return p_t_loss(input, target, term, options)
