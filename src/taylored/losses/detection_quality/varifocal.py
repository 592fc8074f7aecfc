"""Varifocal loss: a quality score for a target, negatives focused, positives weighted by it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.elementwise import Values
from taylored.core.engine.elementwise_pass import element_loss
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.point import Point
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def varifocal_values(alpha: float, gamma: float) -> Values:
    """Y times the entropy of p under y for y > 0, -alpha p^gamma log(1 - p) for y = 0 (eq. 2)."""

    def values(at: Point, y: Tensor) -> Tensor:
        positive = -y * (y * at.log_p + (1.0 - y) * at.log_q)
        return torch.where(y > 0, positive, -alpha * at.complement().q_power(gamma) * at.log_q)

    return values


def _check(alpha: float, gamma: float) -> None:
    in_range("alpha", alpha, 0.0, 1.0, "it is the weight of negatives, 0.75 in the paper")
    in_range("gamma", gamma, 0.0, math.inf, "0 switches the focusing off", interval="[)")


def varifocal_loss(
    input: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.75,
    gamma: float = 2.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Varifocal loss: y BCE(x, y) for y > 0, :math:`-\alpha p^\gamma \log(1 - p)` for y = 0.

    The functional form of `VarifocalLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> varifocal_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.8, 0.0]))
        tensor(0.2758)
    """
    _check(alpha, gamma)
    return element_loss(
        input,
        target,
        varifocal_values(alpha, gamma),
        Options(
            link="sigmoid",
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class VarifocalLoss(nn.Module):
    r"""Varifocal loss: y BCE(x, y) for y > 0, :math:`-\alpha p^\gamma \log(1 - p)` for y = 0.

    Trains the score of a detection to be its quality: the target of the true class is the overlap
    (IoU) of box and ground truth, 0 everywhere else. Better boxes count more.

    Args:
        alpha: weight of negatives against positives, in [0, 1]. Raising it lowers false positives.
        gamma: focusing of negatives, >= 0; positives are rare and keep their loss. Raising it
            silences easy negatives sooner.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits, or (N,); target of the shape of `input` with scores in
        [0, 1], or (N, d1, ...) class indices for scores of 1. The call also takes `sample_weight`,
        and `normalizer`: detectors divide by the number of positives or the sum of their scores.

    Returns:
        A scalar, or with reduction="none" one value per element,
        in [0, inf); float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = VarifocalLoss(alpha=0.5)
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.9, 0.0]]))
        tensor(0.8387)

    Differs from:
        mmdetection: VarifocalLoss(iou_weighted=True): equal, with reduction='none' or an avg_factor
            for normalizer; iou_weighted=False, positives of weight one, is left out. It takes |p -
            y|^gamma of floating-point y <= 0, here p^gamma.

    Reference:
        Zhang et al., VarifocalNet: An IoU-aware Dense Object Detector, CVPR 2021, equation 2.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        alpha: float = 0.75,
        gamma: float = 2.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)
        _check(alpha, gamma)

    @property
    def link(self) -> LinkName:
        """How logits become probabilities."""
        return "sigmoid"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return varifocal_loss(
            input,
            target,
            alpha=self.alpha,
            gamma=self.gamma,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="varifocal",
    family="detection",
    module=VarifocalLoss,
    function=varifocal_loss,
    summary="quality scores as targets: positives weighted by theirs, negatives focused",
    formula=r"y\,\mathrm{BCE}(x, y) \;(y > 0),\quad -\alpha\,p^{\gamma} \log(1 - p) \;(y = 0)",
    parameters=(
        Parameter(
            "alpha",
            0.75,
            "number in [0, 1]",
            "weight of negatives; raising it lowers false positives",
            Search(0.1, 1.0),
        ),
        Parameter(
            "gamma",
            2.0,
            "number >= 0",
            "focusing of negatives; raising it silences easy ones sooner",
            Search(0.0, 5.0),
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements",
    reference=Reference(
        "Zhang, Wang, Dayoub, Suenderhauf",
        "VarifocalNet: An IoU-aware Dense Object Detector",
        "CVPR 2021",
        "equation 2",
    ),
    differs=(
        (
            "mmdetection",
            "VarifocalLoss(iou_weighted=True): equal, with reduction='none' or an avg_factor for "
            "normalizer; iou_weighted=False, positives of weight one, is left out. It takes |p - "
            "y|^gamma of floating-point y <= 0, here p^gamma",
        ),
    ),
    examples=(
        "varifocal()",
        "varifocal(alpha=0.3, gamma=0.5)",
    ),
)
