"""The Brier score: squared distance of the predicted distribution from the truth."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.numerics import smoothing_parts, tensor_of
from taylored.core.plan.options import Options
from taylored.core.plan.plan import along_classes
from taylored.core.posterior.calibrated import rows_of, without_smoothing
from taylored.core.rows.row_loss import row_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import SmoothedCall, SmoothedLoss

__all__ = ["BrierLoss", "brier_loss"]


def brier_values(z: Tensor, y: Tensor) -> Tensor:
    """sum_k (p_k - y_k)^2 (Brier 1950, equation 2)."""
    return ((torch.softmax(z, 1) - y) ** 2).sum(1)


class BrierLoss(SmoothedLoss):
    r"""The Brier score, :math:`\sum_k (p_k - y_k)^2`, in [0, 2].

    It is strictly proper, as cross-entropy is: its minimum is the distribution of the classes. It
    is bounded, and forgives a sample that is confidently wrong: there its gradient vanishes. For
    yes / no questions it is 2 (1 - p_t)^2; `TermLoss(terms.power(2), link="sigmoid")` is the half
    that is usual there.

    Example:
        >>> import torch
        >>> BrierLoss()(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0]))
        tensor(0.0681)
    """

    link = "softmax"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The squared distance."""
        return row_loss(input, target, brier_values, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """The score is proper: at the minimum p is the mean of the weighted, smoothed truths."""
        z = rows_of(outputs, "softmax")
        shares = without_smoothing(z, options.label_smoothing)
        if options.weight is not None:
            weight = tensor_of(options.weight).to(z).expand(z.shape[1])
            kept, even = smoothing_parts(options.label_smoothing, z.shape[1])
            shares = shares - along_classes(torch.log(kept * weight + even * weight.sum()), z)
        return torch.log_softmax(shares, dim=1).reshape(outputs.shape)


@function_of(BrierLoss)
def brier_loss(input: Logits, target: Tensor, **shared: Unpack[SmoothedCall]) -> Tensor:
    r"""The Brier score, :math:`\sum_k (p_k - y_k)^2`, in [0, 2].

    Example:
        >>> import torch
        >>> brier_loss(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([1]))
        tensor(1.4290)
    """
    return row_loss(input, target, brier_values, Options(**shared))


SPEC = spec_of(
    "brier",
    BrierLoss,
    brier_loss,
    summary="squared distance of the predicted distribution from the truth; proper and bounded",
    formula=r"\sum_k (p_k - y_k)^2",
    value_range="[0, 2]",
    reference=Reference(
        "Brier",
        "Verification of Forecasts Expressed in Terms of Probability",
        "Monthly Weather Review 1950",
        "equation 2",
    ),
    differs={
        "scikit-learn": "brier_score_loss takes probabilities; for two classes it is half of this "
        "by default (scale_by_half)",
    },
    examples=("brier()", "brier(label_smoothing=0.1)"),
)
