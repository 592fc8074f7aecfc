"""Focal loss: cross-entropy with the easy samples turned down."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.remembered import remembered
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["FocalLoss", "focal_loss"]


@remembered
def focal_term(gamma: float | PerClass) -> Term:
    """-(1 - p)^gamma log p (Lin et al. 2017, equation 4)."""
    return power(gamma) * nll


class FocalLoss(EitherLinkLoss):
    r"""Focal loss, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    Easy samples (p_t near 1) lose their gradient by the factor (1 - p_t)^gamma, so that a flood of
    easy background or head-class samples no longer drowns the hard ones. gamma = 0 leaves plain
    cross-entropy. RetinaNet uses alpha = 0.25 with gamma = 2, which *lowers* positives.

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
    """

    gamma: Annotated[
        float | PerClass,
        About(
            "focusing; raising it silences easy samples sooner (and shrinks the loss: compare "
            "accuracies, not losses, between values)",
            within="[0, inf)",
            search=(0.0, 5.0),
        ),
    ] = 2.0

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return focal_term(self.gamma)


@function_of(FocalLoss)
def focal_loss(
    input: Logits,
    target: Tensor,
    *,
    gamma: float | PerClass = 2.0,
    **shared: Unpack[EitherLinkCall],
) -> Tensor:
    r"""Focal loss, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`.

    Example:
        >>> import torch
        >>> logits, truth = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
        >>> focal_loss(logits, truth, gamma=2.0, reduction="none")
        tensor([0.0018, 0.1733])
    """
    return p_t_loss(input, target, focal_term(gamma), Options(**shared))


SPEC = spec_of(
    "focal",
    FocalLoss,
    focal_loss,
    summary="cross-entropy with easy samples turned down by (1 - p_t)^gamma",
    formula=r"-\alpha_t\,(1 - p_t)^{\gamma} \log p_t",
    reference=Reference(
        "Lin, Goyal, Girshick, He, Dollar",
        "Focal Loss for Dense Object Detection",
        "ICCV 2017",
        "equations 4 and 5",
    ),
    differs={
        "torchvision": "sigmoid_focal_loss(x, y, alpha, gamma): equal to focal_loss(x, y, "
        "link='sigmoid', alpha=alpha, gamma=gamma) for hard y (its default reduction is 'none', "
        "alpha < 0 switches alpha off); soft y enter p_t as y p + (1 - y)(1 - p)",
        "kornia": "focal_loss(x, t, alpha): alpha weights every class but the first, which gets "
        "1 - alpha; pass weight=[1 - alpha] + [alpha] * (C - 1) here. Its mean divides by C N and "
        "counts ignored pixels",
        "Keras": "BinaryFocalCrossentropy(apply_class_balancing=True): the same alpha; mean over "
        "elements",
        "timm": "PolyBinaryCrossEntropy(epsilon=0, gamma=gamma, alpha=alpha): equal for hard "
        "targets; takes (B, C) only",
    },
    examples=(
        "focal(gamma=2)",
        "focal(gamma=0.5)",
        "focal(gamma=1.5, label_smoothing=0.1)",
        'focal(gamma=2, link="sigmoid", alpha=0.25)',
        'focal(gamma=0.3, link="sigmoid", pos_weight=3, label_smoothing=0.1)',
        "focal(gamma=[0, 0.5, 1, 2, 5])",
    ),
    identities={
        "focal(gamma=0)": "cross_entropy()",
        'focal(gamma=0, link="sigmoid")': "binary_cross_entropy()",
    },
)
