"""Single-label ASL: the smoothed part of the label focused apart from the true class."""

from __future__ import annotations

import math

from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.elementwise import Values
from taylored.core.engine.elementwise_pass import element_loss
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.point import Point
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def asymmetric_single_label_values(
    gamma_positive: float, gamma_negative: float, label_smoothing: float
) -> Values:
    """-(1 - p)^g+ log p where true, -p^g- log p where not, with a smoothed label for weights."""

    def values(at: Point, y: Tensor) -> Tensor:
        log_p, even = at.log_p, label_smoothing / y.shape[1]
        true = y * (1.0 - label_smoothing + even)
        true = true if gamma_positive == 0.0 else true * at.q_power(gamma_positive)
        if label_smoothing == 0.0:
            return -true * log_p
        others = (1.0 - y) * even * at.complement().q_power(gamma_negative)
        return -(true + others) * log_p

    return values


def _check(gamma_positive: float, gamma_negative: float) -> None:
    for name, gamma in (("gamma_positive", gamma_positive), ("gamma_negative", gamma_negative)):
        in_range(name, gamma, 0.0, math.inf, "0 switches the focusing off", interval="[)")


def asymmetric_single_label_loss(
    input: Tensor,
    target: Tensor,
    *,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    label_smoothing: float = 0.1,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""ASL for one label, :math:`-\sum_k \tilde y_k w_k \log p_k`, :math:`w` the focusing of k.

    The functional form of `AsymmetricSingleLabelLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> asymmetric_single_label_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1206)
    """
    _check(gamma_positive, gamma_negative)
    return element_loss(
        input,
        target,
        asymmetric_single_label_values(gamma_positive, gamma_negative, label_smoothing),
        Options(
            link="softmax",
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class AsymmetricSingleLabelLoss(nn.Module):
    r"""ASL for one label, :math:`-\sum_k \tilde y_k w_k \log p_k`, :math:`w` the focusing of k.

    The true class is weighted (1 - p)^gamma_positive and every other class p^gamma_negative, both
    by the hard label; the smoothed label only sets how much each -log p_k counts. A class that the
    model gives little is thus not pulled up by the smoothing, as it is in cross-entropy.

    Args:
        gamma_positive: focusing of the true class, >= 0. Raising it silences easy samples sooner.
        gamma_negative: focusing of the smoothed mass on the other classes, >= 0. Raising it leaves
            classes alone that the model already gives little.
        label_smoothing: target mass spread evenly over the classes, in [0, 1]. Raising it makes
            confident predictions costlier; with 0 only the true class is left, and this is focal
            loss.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices, or probabilities of the
        shape of `input`. The call also takes `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position,
        in [0, inf); float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = AsymmetricSingleLabelLoss(gamma_positive=1.0)
        >>> loss(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
        tensor(0.0248)

    Soft targets: the expected loss under the target, over which class is the true one.

    Differs from:
        Alibaba-MIIL/ASL: ASLSingleLabel: equal for class indices; its smoothing writes into the
            one-hot target in place.
        timm: AsymmetricLossSingleLabel: equal for class indices and gammas that autograd can take
            the power of, (N, C) only; its default gamma_pos is 1.

    Reference:
        Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021; the single-label
        form is in the authors' code only.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        label_smoothing: float = 0.1,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.gamma_positive = gamma_positive
        self.gamma_negative = gamma_negative
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)
        _check(gamma_positive, gamma_negative)

    @property
    def link(self) -> LinkName:
        """How logits become probabilities."""
        return "softmax"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return asymmetric_single_label_loss(
            input,
            target,
            gamma_positive=self.gamma_positive,
            gamma_negative=self.gamma_negative,
            label_smoothing=self.label_smoothing,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="asymmetric_single_label",
    family="classification",
    module=AsymmetricSingleLabelLoss,
    function=asymmetric_single_label_loss,
    summary="softmax form of ASL: the smoothed mass on other classes focused apart",
    formula=r"-\sum_k \tilde y_k\,[y_k (1-p_k)^{\gamma_+} + (1-y_k)\,p_k^{\gamma_-}] \log p_k",
    parameters=(
        Parameter(
            "gamma_positive",
            0.0,
            "number >= 0",
            "focusing of the true class; raising it silences easy samples",
            Search(0.0, 2.0),
        ),
        Parameter(
            "gamma_negative",
            4.0,
            "number >= 0",
            "focusing of the mass on other classes; raising it spares unlikely ones",
            Search(0.0, 6.0),
        ),
        Parameter(
            "label_smoothing",
            0.1,
            "number in [0, 1]",
            "mass spread evenly over the classes; raising it makes confident predictions costlier",
            Search(0.0, 0.3),
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("softmax",),
    targets=("index", "probabilities"),
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions",
    reference=Reference(
        "Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor",
        "Asymmetric Loss For Multi-Label Classification",
        "ICCV 2021",
        "single-label form of the authors' code",
    ),
    differs=(
        (
            "Alibaba-MIIL/ASL",
            "ASLSingleLabel: equal for class indices; its smoothing writes into the one-hot "
            "target in place",
        ),
        (
            "timm",
            "AsymmetricLossSingleLabel: equal for class indices and gammas that autograd can "
            "take the power of, (N, C) only; its default gamma_pos is 1",
        ),
    ),
    examples=(
        "asymmetric_single_label()",
        "asymmetric_single_label(gamma_positive=0.5, gamma_negative=0.3, label_smoothing=0.2)",
    ),
    identities=(
        ("asymmetric_single_label(gamma_negative=0, label_smoothing=0)", "cross_entropy()"),
    ),
)
