"""Focal loss: cross-entropy with the easy samples turned down."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.cache import remembered
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec import Parameter, Reference, Search, Spec, describe, hold


@remembered
def focal_term(gamma: float | Sequence[float] | Tensor) -> Term:
    """-(1 - p)^gamma log p (Lin et al. 2017, equation 4)."""
    return power(gamma) * nll


def focal_loss(
    input: Logits,
    target: Tensor,
    *,
    gamma: float | PerClass = 2.0,
    link: LinkName = "softmax",
    weight: PerClass | None = None,
    alpha: float | PerClass | None = None,
    pos_weight: float | PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Focal loss, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    The functional form of `FocalLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> logits, truth = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
        >>> focal_loss(logits, truth, gamma=2.0, reduction="none")
        tensor([0.0018, 0.1733])
    """
    return p_t_loss(
        input,
        target,
        focal_term(gamma),
        Options(
            link=link,
            weight=weight,
            alpha=alpha,
            pos_weight=pos_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class FocalLoss(nn.Module):
    r"""Focal loss, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    Easy samples (p_t near 1) lose their gradient by the factor (1 - p_t)^gamma, so that a flood of
    easy background or head-class samples no longer drowns the hard ones. gamma = 0 leaves plain
    cross-entropy.

    Args:
        gamma: focusing, >= 0; a number or one per class. Raising it silences easy samples sooner
            (and shrinks the loss: compare accuracies, not losses, between values).
        link: "softmax" for one true class per position, "sigmoid" for independent yes / no classes
            (detection, multi-label).
        weight: one number per class; raising a class's weight favours it.
        alpha: weight of positives, with 1 - alpha for negatives; sigmoid only, a number or one per
            class in [0, 1]. RetinaNet uses 0.25 with gamma = 2, which *lowers* positives.
        pos_weight: multiplies the loss of positives only; sigmoid only.
        ignore_index: positions (softmax, or class-index targets) or elements (sigmoid) with this
            target count for nothing. None switches it off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean". "mean" divides by the sum of the targets'
            weights for class indices (as torch does), by the number of positions for
            probabilities, and by the number of elements for the sigmoid link.

    Shape:
        input (N, C, d1, ...) logits (or (N,) with the sigmoid link); target (N, d1, ...) class
        indices, or the shape of `input` with probabilities or 0 / 1. The call also takes
        `sample_weight`, one number per sample or position (numerator only), and `normalizer`, which
        replaces the denominator of "mean": RetinaNet divides by the number of positives,
        `loss(input, target, normalizer=target.sum())`. With many classes `input` may be
        `LinearLogits(features, head.weight, head.bias)`, or `donate(logits)`, to save memory.

    Returns:
        A scalar, or with reduction="none" one value per position (softmax) or element (sigmoid),
        in [0, inf); float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = FocalLoss(gamma=2.0)
        >>> logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
        >>> loss(logits, torch.tensor([0])).backward()
        >>> logits.grad
        tensor([[-0.0268,  0.0134,  0.0134]])

    Soft targets: the loss is sum_k y_k phi(p_k), the expected loss under the target. torchvision,
    optax and Keras instead put the arithmetic mixture y p + (1 - y)(1 - p) into the formula, and
    class-balanced-loss the geometric one; all agree for hard targets.

    Differs from:
        torchvision: sigmoid_focal_loss(x, y, alpha, gamma): equal to focal_loss(x, y,
            link='sigmoid', alpha=alpha, gamma=gamma) for hard y (its default reduction is 'none',
            alpha < 0 switches alpha off); soft y enter p_t as y p + (1 - y)(1 - p).
        kornia: focal_loss(x, t, alpha): alpha weights every class but the first, which gets 1 -
            alpha; pass weight=[1 - alpha] + [alpha] * (C - 1) here. Its mean divides by C N and
            counts ignored pixels.
        Keras: BinaryFocalCrossentropy(apply_class_balancing=True): the same alpha; mean over
            elements.
        timm: PolyBinaryCrossEntropy(epsilon=0, gamma=gamma, alpha=alpha): equal for hard targets;
            takes (B, C) only.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5.
    """

    gamma: float | Tensor
    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        gamma: float | PerClass = 2.0,
        link: LinkName = "softmax",
        weight: PerClass | None = None,
        alpha: float | PerClass | None = None,
        pos_weight: float | PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.link = link
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        hold(self, "gamma", gamma)
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return focal_term(self.gamma)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return focal_loss(
            input,
            target,
            gamma=self.gamma,
            link=self.link,
            weight=self.weight,
            alpha=self.alpha,
            pos_weight=self.pos_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="focal",
    family="classification",
    module=FocalLoss,
    function=focal_loss,
    summary="cross-entropy with easy samples turned down by (1 - p_t)^gamma",
    formula=r"-\alpha_t\,(1 - p_t)^{\gamma} \log p_t",
    parameters=(
        Parameter(
            "gamma",
            2.0,
            "number >= 0, or one per class",
            "focusing; raising it silences easy samples sooner",
            Search(0.0, 5.0),
        ),
    ),
    shared=(
        "link",
        "weight",
        "alpha",
        "pos_weight",
        "ignore_index",
        "label_smoothing",
        "reduction",
    ),
    links=("softmax", "sigmoid"),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Lin, Goyal, Girshick, He, Dollar",
        "Focal Loss for Dense Object Detection",
        "ICCV 2017",
        "equations 4 and 5",
    ),
    differs=(
        (
            "torchvision",
            "sigmoid_focal_loss(x, y, alpha, gamma): equal to focal_loss(x, y, link='sigmoid', "
            "alpha=alpha, gamma=gamma) for hard y (its default reduction is 'none', alpha < 0 "
            "switches alpha off); soft y enter p_t as y p + (1 - y)(1 - p)",
        ),
        (
            "kornia",
            "focal_loss(x, t, alpha): alpha weights every class but the first, which gets "
            "1 - alpha; pass weight=[1 - alpha] + [alpha] * (C - 1) here. Its mean divides by C N "
            "and counts ignored pixels",
        ),
        (
            "Keras",
            "BinaryFocalCrossentropy(apply_class_balancing=True): the same alpha; mean over "
            "elements",
        ),
        (
            "timm",
            "PolyBinaryCrossEntropy(epsilon=0, gamma=gamma, alpha=alpha): equal for hard targets; "
            "takes (B, C) only",
        ),
    ),
    examples=(
        "focal(gamma=2)",
        "focal(gamma=0.5)",
        "focal(gamma=1.5, label_smoothing=0.1)",
        'focal(gamma=2, link="sigmoid", alpha=0.25)',
        'focal(gamma=0.3, link="sigmoid", pos_weight=3, label_smoothing=0.1)',
        "focal(gamma=[0, 0.5, 1, 2, 5])",
    ),
    identities=(
        ("focal(gamma=0)", "cross_entropy()"),
        ('focal(gamma=0, link="sigmoid")', "binary_cross_entropy()"),
    ),
)
