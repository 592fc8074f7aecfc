"""Alpha-balanced cross-entropy: positives against negatives."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, SmoothedBackgroundCall, SmoothedLoss

__all__ = ["BalancedCrossEntropyLoss", "balanced_cross_entropy_loss"]


class BalancedCrossEntropyLoss(SmoothedLoss, BackgroundLoss):
    r"""Alpha-balanced cross-entropy, :math:`-\alpha y \log p - (1 - \alpha)(1 - y) \log(1 - p)`.

    This is the static answer to imbalance between positives and negatives.
    `balance_alpha(counts, total)` gives the alpha at which both sides weigh the same, the share of
    negatives.

    Example:
        >>> import torch
        >>> loss = BalancedCrossEntropyLoss(alpha=[0.9, 0.5])
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1, 0]]))
        tensor(0.2304)
    """

    link = "sigmoid"
    alpha: Annotated[
        float | PerClass,
        About(
            "weight of positives, with 1 - alpha for negatives; raising it raises recall, 0.5 is "
            "half of plain binary cross-entropy",
            within="[0, 1]",
            fix="use binary_cross_entropy to treat both sides alike",
            search=(0.05, 0.95),
            slot=True,
        ),
    ] = 0.5

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll


@function_of(BalancedCrossEntropyLoss)
def balanced_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    alpha: float | PerClass = 0.5,
    **shared: Unpack[SmoothedBackgroundCall],
) -> Tensor:
    r"""Alpha-balanced cross-entropy, :math:`-\alpha y \log p - (1 - \alpha)(1 - y) \log(1 - p)`.

    Example:
        >>> import torch
        >>> balanced_cross_entropy_loss(torch.zeros(2), torch.tensor([1.0, 0.0]), alpha=0.25)
        tensor(0.3466)
    """
    return p_t_loss(input, target, nll, Options(link="sigmoid", alpha=alpha, **shared))


SPEC = spec_of(
    "balanced_cross_entropy",
    BalancedCrossEntropyLoss,
    balanced_cross_entropy_loss,
    summary="binary cross-entropy with alpha on positives and 1 - alpha on negatives",
    formula=r"-\alpha\, y \log p - (1 - \alpha)(1 - y) \log(1 - p)",
    reference=Reference(
        "Lin, Goyal, Girshick, He, Dollar",
        "Focal Loss for Dense Object Detection",
        "ICCV 2017",
        "equation 3",
    ),
    differs={
        "torchvision": "sigmoid_focal_loss(x, y, alpha=alpha, gamma=0): equal for hard targets",
        "torch": "BCEWithLogitsLoss(pos_weight=alpha / (1 - alpha)) times (1 - alpha)",
    },
    examples=(
        "balanced_cross_entropy(alpha=0.25)",
        "balanced_cross_entropy(alpha=[0.9, 0.5, 0.1, 0.3, 0.7])",
    ),
    identities={
        "balanced_cross_entropy(alpha=0.25)": 'focal(gamma=0, alpha=0.25, link="sigmoid")',
    },
)
