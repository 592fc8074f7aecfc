"""Asymmetric loss (ASL): positives and negatives focused apart, easy negatives discarded."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.clipped_focal import clipped_focal
from taylored.core.terms.term import Term
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, SmoothedBackgroundCall, SmoothedLoss

__all__ = ["AsymmetricLoss", "asymmetric_loss"]


def asymmetric_terms(
    gamma_positive: float, gamma_negative: float, margin: float
) -> tuple[Term, Term]:
    """-(1 - p)^g+ log p for yes and -p_m^g- log(1 - p_m) for no, p_m = max(p - m, 0) (eq. 7)."""
    plain = margin == 0.0
    negative = focal_term(gamma_negative) if plain else clipped_focal(gamma_negative, margin)
    return focal_term(gamma_positive), negative


class AsymmetricLoss(SmoothedLoss, BackgroundLoss):
    r"""ASL: :math:`-(1-p)^{\gamma_+} \log p` for yes, :math:`-p_m^{\gamma_-} \log(1-p_m)` for no.

    In multi-label data an image has a few positives and a flood of negatives, so that one focusing
    for both starves the positives. ASL focuses negatives much harder, and shifts their probability
    by a margin, p_m = max(p - m, 0), which drops the easy ones and caps the pull of very hard ones,
    often missing labels.

    Example:
        >>> import torch
        >>> loss = AsymmetricLoss(gamma_positive=0.0, margin=0.2)
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.2875)

    Soft targets: the loss is y phi_+ + (1 - y) phi_-, the expected loss under the target.
    Inference: `predict` is yes where the logit is positive; `posterior` undoes the focusing. It is
    0 for p below the margin, where a no costs nothing and any yes would have raised p.
    """

    link = "sigmoid"
    gamma_positive: Annotated[
        float,
        About(
            "focusing of positives; raising it silences easy positives sooner. The paper mostly "
            "uses 0",
            within="[0, inf)",
            fix="0 switches the focusing off",
            search=(0.0, 2.0),
        ),
    ] = 1.0
    gamma_negative: Annotated[
        float,
        About(
            "focusing of negatives; raising it silences easy negatives sooner",
            within="[0, inf)",
            fix="0 switches the focusing off",
            search=(0.0, 6.0),
        ),
    ] = 4.0
    margin: Annotated[
        float,
        About(
            "negatives with p below it have no loss at all, and that of mislabelled ones is "
            "bounded; raising it discards more negatives",
            within="[0, 1)",
            domain="0, or a number in [1e-6, 1)",
            fix="0 switches it off, 0.05 is usual",
            search=(0.0, 0.3),
        ),
    ] = 0.05

    def derive(self) -> None:
        """Build the terms of the two outcomes."""
        self.positive, self.negative = asymmetric_terms(
            self.gamma_positive, self.gamma_negative, self.margin
        )

    def outcomes(self) -> tuple[Term, Term]:
        """The terms of yes and no."""
        return self.positive, self.negative

    def fill(self, options: Options) -> Options:
        """The options, with the term of negatives."""
        return options._replace(rejection=self.negative)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets."""
        return p_t_loss(input, target, self.positive, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """From both terms; a class below the margin, for which no counts for nothing, has none."""
        return calibrated_logits(outputs, self.positive, options)


@function_of(AsymmetricLoss)
def asymmetric_loss(
    input: Logits,
    target: Tensor,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
    **shared: Unpack[SmoothedBackgroundCall],
) -> Tensor:
    r"""ASL: :math:`-(1-p)^{\gamma_+} \log p` for yes, :math:`-p_m^{\gamma_-} \log(1-p_m)` for no.

    Example:
        >>> import torch
        >>> asymmetric_loss(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]))
        tensor(0.0078)
    """
    positive, negative = asymmetric_terms(gamma_positive, gamma_negative, margin)
    return p_t_loss(input, target, positive, Options(link="sigmoid", rejection=negative, **shared))


SPEC = spec_of(
    "asymmetric",
    AsymmetricLoss,
    asymmetric_loss,
    summary="negatives focused harder than positives, and dropped below a margin",
    formula=(
        r"-y\,(1-p)^{\gamma_+}\log p - (1-y)\,p_m^{\gamma_-}\log(1-p_m),"
        r"\quad p_m = \max(p-m, 0)"
    ),
    reference=Reference(
        "Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor",
        "Asymmetric Loss For Multi-Label Classification",
        "ICCV 2021",
        "equation 7",
    ),
    differs={
        "Alibaba-MIIL/ASL": "AsymmetricLoss clamps probabilities at 1e-8 before the logarithm, "
        "where gradients end, and always sums (reduction='sum' here); soft y enter the exponent. "
        "Its optimised class switches autograd on for a caller that had it off",
        "timm": "AsymmetricLossMultiLabel(gamma_neg, gamma_pos, clip): equal for hard targets and "
        "moderate logits; 'batchmean' there is sum / N, its clamp at 1e-8 ends gradients; soft y "
        "are mixed into p_t and into the exponent",
    },
    examples=(
        "asymmetric()",
        "asymmetric(gamma_positive=0, gamma_negative=0.5, margin=0.2)",
        "asymmetric(gamma_positive=0.5, gamma_negative=2, margin=0)",
    ),
    identities={
        "asymmetric(gamma_positive=2, gamma_negative=2, margin=0)": (
            'focal(gamma=2, link="sigmoid")'
        ),
        "asymmetric(gamma_positive=0, gamma_negative=0, margin=0)": "binary_cross_entropy()",
    },
)
