"""Generalized cross-entropy: one parameter from cross-entropy to the mean absolute error."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.noise_robust import box_cox
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["GeneralizedCrossEntropyLoss", "generalized_cross_entropy_loss"]


def generalized_cross_entropy_term(q: float) -> Term:
    """(1 - p^q) / q (Zhang and Sabuncu 2018, equation 6)."""
    return box_cox(q)


class GeneralizedCrossEntropyLoss(EitherLinkLoss):
    r"""Generalized cross-entropy, :math:`(1 - p_t^q) / q`.

    The gradient is cross-entropy's times p_t^q: samples that the model gets badly wrong,
    mislabelled ones among them, pull less. With many classes p_t starts small and so does learning;
    lower q then, or begin with cross-entropy.

    In the algebra it is `terms.box_cox(q)`. It is computed as -expm1(q log p_t) / q, which is exact
    for any q and p_t.

    Example:
        >>> import torch
        >>> loss = GeneralizedCrossEntropyLoss(q=0.5)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        tensor(0.8437)
    """

    q: Annotated[
        float,
        About(
            "tolerance of wrong labels; raising it forgives badly wrong samples more and learns "
            "slower: 0 is cross-entropy, 1 the mean absolute error 1 - p_t",
            within="[0, 1]",
            fix="0 is cross-entropy, 1 the mean absolute error, 0.7 the paper's",
            search=(0.1, 1.0),
        ),
    ] = 0.7

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return generalized_cross_entropy_term(self.q)


@function_of(GeneralizedCrossEntropyLoss)
def generalized_cross_entropy_loss(
    input: Logits, target: Tensor, *, q: float = 0.7, **shared: Unpack[EitherLinkCall]
) -> Tensor:
    r"""Generalized cross-entropy, :math:`(1 - p_t^q) / q`.

    Example:
        >>> import torch
        >>> generalized_cross_entropy_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1215)
    """
    return p_t_loss(input, target, generalized_cross_entropy_term(q), Options(**shared))


SPEC = spec_of(
    "generalized_cross_entropy",
    GeneralizedCrossEntropyLoss,
    generalized_cross_entropy_loss,
    summary="(1 - p_t^q) / q, between cross-entropy and the mean absolute error",
    formula=r"\frac{1 - p_t^{q}}{q}",
    reference=Reference(
        "Zhang, Sabuncu",
        "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
        "NeurIPS 2018",
        "equation 6",
    ),
    differs={
        "AlanChou/Truncated-Loss": "subtracts the constant (1 - k^q) / q of its threshold k and "
        "weighs samples by an array with one entry per training sample, 0 where p_t <= k; here "
        "that is sample_weight. It forms p_t^q from the softmax, so that gradients are NaN where "
        "p_t underflows",
    },
    value_range="[0, 1/q]",
    examples=(
        "generalized_cross_entropy(q=0.7)",
        'generalized_cross_entropy(q=0.2, link="sigmoid", alpha=0.25)',
    ),
    identities={
        "generalized_cross_entropy(q=0)": "cross_entropy()",
        "generalized_cross_entropy(q=1)": "taylor(num_terms=1)",
    },
)
