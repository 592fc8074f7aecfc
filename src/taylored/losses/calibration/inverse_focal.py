"""Inverse focal loss: easy samples count more, and the probabilities are put right afterwards."""

from __future__ import annotations

import math
from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.elementary import constant, nll
from taylored.core.terms.sums_of_powers import series
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["InverseFocalLoss", "inverse_focal_loss"]


def inverse_focal_term(gamma: int) -> Term:
    """(1 + p)^gamma -log p (Wang et al. 2021), in powers of q = 1 - p: 1 + p is 2 - q."""
    if gamma == 0:
        return nll
    powers = [math.comb(gamma, k) * 2.0 ** (gamma - k) * (-1.0) ** k for k in range(gamma + 1)]
    return (constant(powers[0]) + series(powers[1:])) * nll


class InverseFocalLoss(EitherLinkLoss):
    r"""Inverse focal loss, :math:`-(1 + p_t)^\gamma \log p_t`.

    Losses that keep a model from being confident, focal loss among them, lose what tells easy from
    hard samples, and temperature scaling then has less to work with. This one does the opposite:
    easy samples count more. It is for models that are calibrated afterwards; without that they are
    overconfident. With gamma 2 and 3 no class probabilities follow from the outputs: of two classes
    that are equally probable, one wins.

    Example:
        >>> import torch
        >>> loss = InverseFocalLoss(gamma=2)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.4490)
        >>> print(loss.term)
        (4 + (-4*(1-p)^1 + 1*(1-p)^2)) * -log(p)
    """

    gamma: Annotated[
        int,
        About(
            "power of 1 + p; raising it gives easy samples more weight, 0 is cross-entropy. With 4 "
            "the loss would rise with p",
            within="[0, 3]",
            fix="2 is usual",
            search=(1, 3),
        ),
    ] = 2

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return inverse_focal_term(self.gamma)

    def why_no_posterior(self) -> str:
        """From gamma 2 on, that the loss is not convex in p."""
        concave = "with gamma above 1 it is concave where p is large, and seeks certainty there"
        return concave if self.gamma > 1 else super().why_no_posterior()


@function_of(InverseFocalLoss)
def inverse_focal_loss(
    input: Logits, target: Tensor, *, gamma: int = 2, **shared: Unpack[EitherLinkCall]
) -> Tensor:
    r"""Inverse focal loss, :math:`-(1 + p_t)^\gamma \log p_t`.

    Example:
        >>> import torch
        >>> inverse_focal_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), gamma=1)
        tensor(0.2387)
    """
    return p_t_loss(input, target, inverse_focal_term(gamma), Options(**shared))


SPEC = spec_of(
    "inverse_focal",
    InverseFocalLoss,
    inverse_focal_loss,
    summary="cross-entropy that gives easy samples more weight, for models calibrated afterwards",
    formula=r"-(1 + p_t)^{\gamma} \log p_t",
    reference=Reference(
        "Wang, Feng, Zhang",
        "Rethinking Calibration of Deep Neural Networks: Do Not Be Afraid of Overconfidence",
        "NeurIPS 2021",
        "inverse focal loss",
    ),
    examples=(
        "inverse_focal()",
        'inverse_focal(gamma=1, link="sigmoid")',
        "inverse_focal(gamma=3)",
    ),
    identities={"inverse_focal(gamma=0)": "cross_entropy()"},
)
