"""Hill loss: negatives that look like positives lose their push, as missing labels should."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.elementary import power
from taylored.core.terms.shifted import shifted
from taylored.core.terms.term import Term
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, SmoothedBackgroundCall, SmoothedLoss

__all__ = ["HillLoss", "hill_loss"]


def hill_terms(gamma: float, margin: float, limit: float) -> tuple[Term, Term]:
    """Focal loss at x - margin for yes, (limit - p) p^2 for no (Zhang et al. 2021)."""
    # For "no", the probability of the truth is 1 - p: its complement q is p.
    return shifted(focal_term(gamma), margin), limit * power(2) - power(3)


class HillLoss(SmoothedLoss, BackgroundLoss):
    r"""Hill: :math:`-(1-p_m)^\gamma \log p_m` for yes, :math:`(\lambda - p)\,p^2` for no.

    Where labels are missing, a confident "negative" is often a positive that nobody marked. Its
    gradient rises with p like a hill and falls again, so that it is not pushed down for ever.
    Positives are focused at p_m = sigmoid(x - margin), which keeps them from being learned too
    slowly.

    Example:
        >>> import torch
        >>> loss = HillLoss()
        >>> loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.0558)
    """

    link = "sigmoid"
    falls_if = "limit >= 1.5"
    gamma: Annotated[
        float,
        About(
            "focusing of positives; raising it silences easy ones",
            within="[0, inf)",
            search=(0.0, 4.0),
        ),
    ] = 2.0
    margin: Annotated[
        float,
        About(
            "what is taken off a positive's logit; raising it keeps easy positives in play",
            within="[0, inf)",
            fix="0.5 to 1 are the published choices",
            search=(0.0, 2.0),
        ),
    ] = 1.0
    limit: Annotated[
        float,
        About(
            "lambda in lambda - p, the weight of a negative's square; raising it pushes confident "
            "negatives down harder. Below 1.5 the most confident ones are pushed up instead",
            within="[1, inf)",
            fix="1.5 is the published choice",
            search=(1.0, 3.0),
        ),
    ] = 1.5

    def outcomes(self) -> tuple[Term, Term]:
        """The terms of yes and no."""
        return hill_terms(self.gamma, self.margin, self.limit)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss with a term for each of the two outcomes."""
        yes, no = self.outcomes()
        return p_t_loss(input, target, yes, options._replace(rejection=no))

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """From the terms of both outcomes."""
        yes, no = hill_terms(self.gamma, self.margin, self.limit)
        return calibrated_logits(outputs, yes, options._replace(rejection=no))


@function_of(HillLoss)
def hill_loss(
    input: Logits,
    target: Tensor,
    *,
    gamma: float = 2.0,
    margin: float = 1.0,
    limit: float = 1.5,
    **shared: Unpack[SmoothedBackgroundCall],
) -> Tensor:
    r"""Hill: :math:`-(1-p_m)^\gamma \log p_m` for yes, :math:`(\lambda - p)\,p^2` for no.

    Example:
        >>> import torch
        >>> hill_loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]), reduction="sum")
        tensor(0.1117)
    """
    yes, no = hill_terms(gamma, margin, limit)
    return p_t_loss(input, target, yes, Options(link="sigmoid", rejection=no, **shared))


SPEC = spec_of(
    "hill",
    HillLoss,
    hill_loss,
    summary="negatives whose gradient is a hill, so that missing labels are not pushed down",
    formula=r"-y\,(1-p_m)^{\gamma} \log p_m + (1-y)\,(\lambda - p)\,p^2,\quad p_m = \sigma(x - m)",
    reference=Reference(
        "Zhang, Cheng, Huang, Wen, Feng, Li, Guo",
        "Simple and Robust Loss Design for Multi-Label Learning with Missing Labels",
        "arXiv 2112.07368",
        "Hill loss",
    ),
    differs={
        "xinyu1205/robust-loss-mlml": "Hill(lamb, margin, gamma): equal for hard targets with "
        "reduction='sum', its default; soft y enter the focusing weight there",
    },
    examples=("hill()", "hill(gamma=0.5, margin=0.5, limit=2)"),
)
