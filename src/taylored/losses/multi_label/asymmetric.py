"""Asymmetric loss (ASL): positives and negatives focused apart, easy negatives discarded."""

from __future__ import annotations

import math

from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.clipped_focal import clipped_focal
from taylored.core.terms.term import Term
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def asymmetric_terms(
    gamma_positive: float, gamma_negative: float, margin: float
) -> tuple[Term, Term]:
    """-(1 - p)^g+ log p for yes and -p_m^g- log(1 - p_m) for no, p_m = max(p - m, 0) (eq. 7)."""
    plain = margin == 0.0
    negative = focal_term(gamma_negative) if plain else clipped_focal(gamma_negative, margin)
    return focal_term(gamma_positive), negative


def _check(gamma_positive: float, gamma_negative: float, margin: float) -> None:
    for name, gamma in (("gamma_positive", gamma_positive), ("gamma_negative", gamma_negative)):
        in_range(name, gamma, 0.0, math.inf, "0 switches the focusing off", interval="[)")
    in_range("margin", margin, 0.0, 1.0, "0 switches it off, 0.05 is usual", interval="[)")
    if margin > 0.0:
        clipped_focal(gamma_negative, margin)  # refuses margins that are too small


def asymmetric_loss(
    input: Logits,
    target: Tensor,
    *,
    gamma_positive: float = 1.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""ASL: :math:`-(1-p)^{\gamma_+} \log p` for yes, :math:`-p_m^{\gamma_-} \log(1-p_m)` for no.

    The functional form of `AsymmetricLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> asymmetric_loss(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]))
        tensor(0.0078)
    """
    _check(gamma_positive, gamma_negative, margin)
    positive, negative = asymmetric_terms(gamma_positive, gamma_negative, margin)
    return p_t_loss(
        input,
        target,
        positive,
        Options(
            link="sigmoid",
            rejection=negative,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class AsymmetricLoss(nn.Module):
    r"""ASL: :math:`-(1-p)^{\gamma_+} \log p` for yes, :math:`-p_m^{\gamma_-} \log(1-p_m)` for no.

    In multi-label data an image has a few positives and a flood of negatives, so that one focusing
    for both starves the positives. ASL focuses negatives much harder, and shifts their probability
    by a margin, which drops the easy ones and caps the pull of very hard ones, often missing
    labels.

    Args:
        gamma_positive: focusing of positives, >= 0. Raising it silences easy positives; the paper
            mostly uses 0.
        gamma_negative: focusing of negatives, >= 0. Raising it silences easy negatives sooner.
        margin: m, 0 or in [1e-6, 1): negatives with p below it have no loss at all, and p_m =
            max(p - m, 0) bounds that of mislabelled ones. Raising it discards more negatives.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over yes and no, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits, or (N,); target (N, d1, ...) class indices, or the shape of
        `input` with 0 / 1 or probabilities. The call also takes `sample_weight`, per sample,
        position or element, and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per element,
        in [0, inf); float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = AsymmetricLoss(gamma_positive=0.0, margin=0.2)
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.2875)

    Soft targets: the loss is y phi_+ + (1 - y) phi_-, the expected loss under the target.

    Differs from:
        Alibaba-MIIL/ASL: AsymmetricLoss clamps probabilities at 1e-8 before the logarithm, where
            gradients end, and always sums (reduction='sum' here); soft y enter the exponent. Its
            optimised class switches autograd on for a caller that had it off.
        timm: AsymmetricLossMultiLabel(gamma_neg, gamma_pos, clip): equal for hard targets and
            moderate logits; 'batchmean' there is sum / N, its clamp at 1e-8 ends gradients; soft y
            are mixed into p_t and into the exponent.

    Reference:
        Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021, equation 7.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        gamma_positive: float = 1.0,
        gamma_negative: float = 4.0,
        margin: float = 0.05,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.gamma_positive = gamma_positive
        self.gamma_negative = gamma_negative
        self.margin = margin
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)
        _check(gamma_positive, gamma_negative, margin)

    @property
    def link(self) -> LinkName:
        """How logits become probabilities."""
        return "sigmoid"

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return asymmetric_loss(
            input,
            target,
            gamma_positive=self.gamma_positive,
            gamma_negative=self.gamma_negative,
            margin=self.margin,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="asymmetric",
    family="multi-label",
    module=AsymmetricLoss,
    function=asymmetric_loss,
    summary="negatives focused harder than positives, and dropped below a margin",
    formula=(
        r"-y\,(1-p)^{\gamma_+}\log p - (1-y)\,p_m^{\gamma_-}\log(1-p_m),"
        r"\quad p_m = \max(p-m, 0)"
    ),
    parameters=(
        Parameter(
            "gamma_positive",
            1.0,
            "number >= 0",
            "focusing of positives; raising it silences easy ones",
            Search(0.0, 2.0),
        ),
        Parameter(
            "gamma_negative",
            4.0,
            "number >= 0",
            "focusing of negatives; raising it silences easy ones sooner",
            Search(0.0, 6.0),
        ),
        Parameter(
            "margin",
            0.05,
            "0, or a number in [1e-6, 1)",
            "negatives with p below it are discarded; raising it discards more",
            Search(0.0, 0.3),
        ),
    ),
    shared=("weight", "ignore_index", "label_smoothing", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements",
    reference=Reference(
        "Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor",
        "Asymmetric Loss For Multi-Label Classification",
        "ICCV 2021",
        "equation 7",
    ),
    differs=(
        (
            "Alibaba-MIIL/ASL",
            "AsymmetricLoss clamps probabilities at 1e-8 before the logarithm, where gradients "
            "end, and always sums (reduction='sum' here); soft y enter the exponent. Its "
            "optimised class switches autograd on for a caller that had it off",
        ),
        (
            "timm",
            "AsymmetricLossMultiLabel(gamma_neg, gamma_pos, clip): equal for hard targets and "
            "moderate logits; 'batchmean' there is sum / N, its clamp at 1e-8 ends gradients; "
            "soft y are mixed into p_t and into the exponent",
        ),
    ),
    examples=(
        "asymmetric()",
        "asymmetric(gamma_positive=0, gamma_negative=0.5, margin=0.2)",
        "asymmetric(gamma_positive=0.5, gamma_negative=2, margin=0)",
    ),
    identities=(
        (
            "asymmetric(gamma_positive=2, gamma_negative=2, margin=0)",
            'focal(gamma=2, link="sigmoid")',
        ),
        ("asymmetric(gamma_positive=0, gamma_negative=0, margin=0)", "binary_cross_entropy()"),
    ),
)
