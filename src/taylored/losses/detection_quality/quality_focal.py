"""Quality focal loss: focal loss for targets that are scores between 0 and 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.elementwise import Values
from taylored.core.engine.elementwise_pass import element_loss
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.point import Parameter as TermParameter
from taylored.core.terms.point import Point
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def quality_focal_values(beta: TermParameter) -> Values:
    """|y - p|^beta times the entropy of p under y (Li et al. 2020, equation 3)."""

    def values(at: Point, y: Tensor) -> Tensor:
        entropy = -(y * at.log_p + (1.0 - y) * at.log_q)
        plain = isinstance(beta, float) and beta == 0.0
        return entropy if plain else _distance_power(at, y, beta) * entropy

    return values


def _distance_power(at: Point, y: Tensor, beta: TermParameter) -> Tensor:
    """|y - p|^beta; exact at y = 0 and y = 1, and of derivative 0 where p meets y."""
    distance = (y * at.q - (1.0 - y) * at.p).abs()
    if isinstance(beta, float) and beta == 2.0:  # the default, without a logarithm
        return distance * distance
    met = distance == 0
    # With beta < 1 the slope at p = y is infinite, and changes sign there: 0 is its middle.
    between = torch.log(torch.where(met, 1.0, distance))
    log_distance = torch.where(y == 1, at.log_q, torch.where(y == 0, at.log_p, between))
    power = torch.exp(beta * log_distance)
    return torch.where(met & (y > 0) & (y < 1), 0.0, power)


def _check(beta: float) -> None:
    in_range("beta", beta, 0.0, math.inf, "0 switches the focusing off", interval="[)")


def quality_focal_loss(
    input: Tensor,
    target: Tensor,
    *,
    beta: float = 2.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Quality focal loss, :math:`|y - p|^\beta\,\mathrm{BCE}(x, y)`.

    The functional form of `QualityFocalLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> quality_focal_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.8, 0.0]))
        tensor(0.0884)
    """
    _check(beta)
    return element_loss(
        input,
        target,
        quality_focal_values(beta),
        Options(
            link="sigmoid",
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class QualityFocalLoss(nn.Module):
    r"""Quality focal loss, :math:`|y - p|^\beta\,\mathrm{BCE}(x, y)`.

    Trains the score of a detection to be its quality: the target of the true class is the overlap
    (IoU) of box and ground truth, 0 everywhere else. For targets of 0 and 1 it is focal loss;
    unlike focal loss on a soft target, it turns the gradient off where the score is right.

    Args:
        beta: focusing, >= 0. Raising it silences scores that are nearly right sooner; 0 is binary
            cross-entropy.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits, or (N,); target of the shape of `input` with scores in
        [0, 1], or (N, d1, ...) class indices for scores of 1. The call also takes `sample_weight`,
        and `normalizer`: detectors divide by the number of positives.

    Returns:
        A scalar, or with reduction="none" one value per element,
        in [0, inf); float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = QualityFocalLoss()
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.9, 0.0]]))
        tensor(1.3832)

    With beta below 1 the slope at p = y, which only soft targets have, is infinite; it is 0 here.

    Differs from:
        mmdetection: QualityFocalLoss: takes class indices and scores apart and sums over the
            classes of a sample before the mean: reduction='batch_mean' here, for the target with
            the score in its class and 0 elsewhere. Its label num_classes, background, is a row of
            zeros.

    Reference:
        Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for
        Dense Object Detection, NeurIPS 2020, equation 3.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        beta: float = 2.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.beta = beta
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)
        _check(beta)

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
        return quality_focal_loss(
            input,
            target,
            beta=self.beta,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="quality_focal",
    family="detection",
    module=QualityFocalLoss,
    function=quality_focal_loss,
    summary="focal loss for scores: |y - p|^beta times binary cross-entropy",
    formula=r"|y - p|^{\beta}\,\mathrm{BCE}(x, y)",
    parameters=(
        Parameter(
            "beta",
            2.0,
            "number >= 0",
            "focusing; raising it silences scores that are nearly right",
            Search(0.0, 5.0),
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements",
    reference=Reference(
        "Li, Wang, Wu, Chen, Hu, Li, Tang, Yang",
        "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes",
        "NeurIPS 2020",
        "equation 3",
    ),
    differs=(
        (
            "mmdetection",
            "QualityFocalLoss: takes class indices and scores apart and sums over the classes of "
            "a sample before the mean: reduction='batch_mean' here, for the target with the "
            "score in its class and 0 elsewhere. Its label num_classes, background, is a row of "
            "zeros",
        ),
    ),
    examples=(
        "quality_focal()",
        "quality_focal(beta=0.5)",
    ),
)
