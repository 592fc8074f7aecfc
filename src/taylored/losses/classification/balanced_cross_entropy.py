"""Alpha-balanced cross-entropy: positives against negatives."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass, Reduction
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def balanced_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    alpha: float | PerClass = 0.5,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Alpha-balanced cross-entropy, :math:`-\alpha y \log p - (1 - \alpha)(1 - y) \log(1 - p)`.

    The functional form of `BalancedCrossEntropyLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> balanced_cross_entropy_loss(torch.zeros(2), torch.tensor([1.0, 0.0]), alpha=0.25)
        tensor(0.3466)
    """
    return p_t_loss(
        input,
        target,
        nll,
        Options(
            link="sigmoid",
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            alpha=alpha,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class BalancedCrossEntropyLoss(nn.Module):
    r"""Alpha-balanced cross-entropy, :math:`-\alpha y \log p - (1 - \alpha)(1 - y) \log(1 - p)`.

    The static answer to imbalance between positives and negatives. `balance_alpha(counts, total)`
    gives the alpha at which both sides weigh the same, the share of negatives.

    Args:
        alpha: weight of positives, with 1 - alpha for negatives; a number or one per class in
            [0, 1]. Raising it raises recall; 0.5 is half of plain binary cross-entropy.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input of any shape, logits, classes on axis 1 where per-class options are used; target of
        the same shape, 0 / 1 or in between, or (N, d1, ...) class indices. The call also takes
        `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position and class, in [0, inf); float32
        for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = BalancedCrossEntropyLoss(alpha=[0.9, 0.5])
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1, 0]]))
        tensor(0.2304)

    Differs from:
        torchvision: sigmoid_focal_loss(x, y, alpha=alpha, gamma=0): equal for hard targets.
        torch: BCEWithLogitsLoss(pos_weight=alpha / (1 - alpha)) times (1 - alpha).

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 3.
    """

    weight: Tensor | None
    alpha: float | Tensor

    def __init__(
        self,
        *,
        alpha: float | PerClass = 0.5,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        hold(self, "alpha", alpha)
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    @property
    def link(self) -> str:
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
        return balanced_cross_entropy_loss(
            input,
            target,
            alpha=self.alpha,
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
    name="balanced_cross_entropy",
    family="classification",
    module=BalancedCrossEntropyLoss,
    function=balanced_cross_entropy_loss,
    summary="binary cross-entropy with alpha on positives and 1 - alpha on negatives",
    formula=r"-\alpha\, y \log p - (1 - \alpha)(1 - y) \log(1 - p)",
    parameters=(
        Parameter(
            "alpha",
            0.5,
            "number in [0, 1], or one per class",
            "weight of positives against negatives; raising it raises recall",
            Search(0.05, 0.95),
        ),
    ),
    shared=("weight", "ignore_index", "label_smoothing", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements that are not ignored",
    reference=Reference(
        "Lin, Goyal, Girshick, He, Dollar",
        "Focal Loss for Dense Object Detection",
        "ICCV 2017",
        "equation 3",
    ),
    differs=(
        ("torchvision", "sigmoid_focal_loss(x, y, alpha=alpha, gamma=0): equal for hard targets"),
        ("torch", "BCEWithLogitsLoss(pos_weight=alpha / (1 - alpha)) times (1 - alpha)"),
    ),
    examples=(
        "balanced_cross_entropy(alpha=0.25)",
        "balanced_cross_entropy(alpha=[0.9, 0.5, 0.1, 0.3, 0.7])",
    ),
    identities=(
        ("balanced_cross_entropy(alpha=0.25)", 'focal(gamma=0, alpha=0.25, link="sigmoid")'),
    ),
)
