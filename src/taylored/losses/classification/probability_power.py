"""Probability-power objectives: a power of the probability itself, in place of its logarithm."""

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

__all__ = ["ProbabilityPowerLoss", "probability_power_loss"]


def probability_power_term(power: float) -> Term:
    """1 - p^k (Li et al. 2025, whose -p^k has the same gradient)."""
    return power * box_cox(power)


class ProbabilityPowerLoss(EitherLinkLoss):
    r"""A power of the probability, :math:`1 - p_t^k`.

    Its gradient is cross-entropy's times k p_t^k: what a model finds improbable is left alone, and
    the more so the larger k is. Where a strong pretrained model is tuned on data with errors this
    does better than -log p; a model that has to learn everything learns nothing from it. k = 1 is
    the expected error 1 - p_t, and has the gradient of `DFTLoss`.

    Example:
        >>> import torch
        >>> ProbabilityPowerLoss()(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1192)
    """

    power: Annotated[
        float,
        About(
            "k; raising it trusts the model more than the data, 1 is the expected error",
            within="(0, inf)",
            fix="1 and 10 were published",
            search=(0.25, 10.0, "log"),
        ),
    ] = 1.0

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return probability_power_term(self.power)


@function_of(ProbabilityPowerLoss)
def probability_power_loss(
    input: Logits, target: Tensor, *, power: float = 1.0, **shared: Unpack[EitherLinkCall]
) -> Tensor:
    r"""A power of the probability, :math:`1 - p_t^k`.

    Example:
        >>> import torch
        >>> probability_power_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), power=10)
        tensor(0.7190)
    """
    return p_t_loss(input, target, probability_power_term(power), Options(**shared))


SPEC = spec_of(
    "probability_power",
    ProbabilityPowerLoss,
    probability_power_loss,
    summary="1 - p_t^k: trusts a strong model more than its data",
    formula=r"1 - p_t^{k}",
    reference=Reference(
        "Li et al.",
        "Beyond Log Likelihood: Probability-Based Objectives for Supervised Fine-Tuning",
        "arXiv 2510.00526",
        "the objectives -p and -p^10",
    ),
    value_range="[0, 1]",
    examples=(
        "probability_power()",
        "probability_power(power=10)",
        'probability_power(power=0.5, link="sigmoid")',
    ),
    identities={
        "probability_power()": "generalized_cross_entropy(q=1)",
        "probability_power(power=1)": "series(coefficients=[1])",
    },
)
