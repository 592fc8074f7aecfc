"""Single-label ASL: the smoothed part of the label focused apart from the true class."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import Values
from taylored.core.inputs.logits import Logits
from taylored.core.links.margins import margins_of
from taylored.core.numerics import smoothing_parts, tensor_of
from taylored.core.plan.options import Options
from taylored.core.plan.plan import along_classes
from taylored.core.posterior.calibrated import calibrated_logits, log_excess, point_of, rows_of
from taylored.core.terms.point import Point
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["AsymmetricSingleLabelLoss", "asymmetric_single_label_loss"]


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


class AsymmetricSingleLabelLoss(WeightedLoss):
    r"""ASL for one label, :math:`-\sum_k \tilde y_k w_k \log p_k`, :math:`w` the focusing of k.

    The true class is weighted (1 - p)^gamma_positive and every other class p^gamma_negative, both
    by the hard label; the smoothed label only sets how much each -log p_k counts. A class that the
    model gives little is thus not pulled up by the smoothing, as it is in cross-entropy.

    Example:
        >>> import torch
        >>> loss = AsymmetricSingleLabelLoss(gamma_positive=1.0)
        >>> loss(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
        tensor(0.0248)

    Soft targets: the loss is the expected loss under the target, over which class is the true one.
    """

    link = "softmax"
    gamma_positive: Annotated[
        float,
        About(
            "focusing of the true class; raising it silences easy samples sooner",
            within="[0, inf)",
            fix="0 switches the focusing off",
            search=(0.0, 2.0),
        ),
    ] = 0.0
    gamma_negative: Annotated[
        float,
        About(
            "focusing of the smoothed mass on the other classes; raising it leaves classes alone "
            "that the model already gives little",
            within="[0, inf)",
            fix="0 switches the focusing off",
            search=(0.0, 6.0),
        ),
    ] = 4.0
    label_smoothing: Annotated[
        float,
        About(
            "target mass spread evenly over the classes; raising it makes confident predictions "
            "costlier. With 0 only the true class is left, and this is focal loss",
            within="[0, 1]",
            fix="give the mass to move away from the target (0.1 is common; not the mass to keep)",
            search=(0.0, 0.3),
            slot=True,
        ),
    ] = 0.1

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The sum over the classes, each with a value of its own."""
        values = asymmetric_single_label_values(
            self.gamma_positive, self.gamma_negative, self.label_smoothing
        )
        return element_loss(input, target, values, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """At the minimum each eta is linear in a multiplier, which makes them sum to 1."""
        z = rows_of(outputs, "softmax")
        at = point_of(margins_of(z))
        focal = focal_term(self.gamma_positive)
        if self.label_smoothing == 0.0:
            return calibrated_logits(outputs, focal, options)
        kept, even = smoothing_parts(self.label_smoothing, z.shape[1])
        # p times the derivatives: -yes where the class is the truth, other where it is not.
        yes = (kept + even) * torch.exp(focal.logarithms(at)[1].log - at.log_q)
        other = even * torch.exp(self.gamma_negative * at.log_p)
        other = other * (self.gamma_negative * at.nll - 1.0)
        share = at.p
        if options.weight is not None:
            share = share / along_classes(tensor_of(options.weight), z)
        # eta_k (yes_k + other_k) = multiplier share_k + other_k.
        both = torch.where(yes + other > 0, yes + other, torch.nan)
        left = 1.0 - (other / both).sum(dim=1, keepdim=True)
        multiplier = left / (share / both).sum(dim=1, keepdim=True)
        eta = (multiplier * share + other) / both
        return torch.log_softmax(log_excess(eta, 0.0), dim=1).reshape(outputs.shape)


@function_of(AsymmetricSingleLabelLoss)
def asymmetric_single_label_loss(
    input: Tensor,
    target: Tensor,
    *,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    label_smoothing: float = 0.1,
    **shared: Unpack[WeightedCall],
) -> Tensor:
    r"""ASL for one label, :math:`-\sum_k \tilde y_k w_k \log p_k`, :math:`w` the focusing of k.

    Example:
        >>> import torch
        >>> asymmetric_single_label_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1206)
    """
    values = asymmetric_single_label_values(gamma_positive, gamma_negative, label_smoothing)
    options = Options(link="softmax", label_smoothing=label_smoothing, **shared)
    return element_loss(input, target, values, options)


SPEC = spec_of(
    "asymmetric_single_label",
    AsymmetricSingleLabelLoss,
    asymmetric_single_label_loss,
    summary="softmax form of ASL: the smoothed mass on other classes focused apart",
    formula=r"-\sum_k \tilde y_k\,[y_k (1-p_k)^{\gamma_+} + (1-y_k)\,p_k^{\gamma_-}] \log p_k",
    reference=Reference(
        "Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor",
        "Asymmetric Loss For Multi-Label Classification",
        "ICCV 2021",
        "single-label form of the authors' code",
    ),
    differs={
        "Alibaba-MIIL/ASL": "ASLSingleLabel: equal for class indices; its smoothing writes into "
        "the one-hot target in place",
        "timm": "AsymmetricLossSingleLabel: equal for class indices and gammas that autograd can "
        "take the power of, (N, C) only; its default gamma_pos is 1",
    },
    examples=(
        "asymmetric_single_label()",
        "asymmetric_single_label(gamma_positive=0.5, gamma_negative=0.3, label_smoothing=0.2)",
    ),
    identities={
        "asymmetric_single_label(gamma_negative=0, label_smoothing=0)": "cross_entropy()",
    },
)
