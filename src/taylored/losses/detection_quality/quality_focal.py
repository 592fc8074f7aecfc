"""Quality focal loss: focal loss for targets that are scores between 0 and 1."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import Values
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.point import Exponent, Point
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, WeightedBackgroundCall, WeightedLoss

__all__ = ["QualityFocalLoss", "quality_focal_loss"]


def quality_focal_values(beta: Exponent) -> Values:
    """|y - p|^beta times the entropy of p under y (Li et al. 2020, equation 3)."""

    def values(at: Point, y: Tensor) -> Tensor:
        entropy = at.binary_cross_entropy(y)
        plain = isinstance(beta, float) and beta == 0.0
        return entropy if plain else _distance_power(at, y, beta) * entropy

    return values


def _distance_power(at: Point, y: Tensor, beta: Exponent) -> Tensor:
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


class QualityFocalLoss(WeightedLoss, BackgroundLoss):
    r"""Quality focal loss, :math:`|y - p|^\beta\,\mathrm{BCE}(x, y)`.

    This trains the score of a detection to be its quality: the target of the true class is the
    overlap (IoU) of box and ground truth, and 0 everywhere else. For targets of 0 and 1 it is focal
    loss; unlike focal loss on a soft target, it turns the gradient off where the score is right.

    Example:
        >>> import torch
        >>> loss = QualityFocalLoss()
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.9, 0.0]]))
        tensor(1.3832)

    Class indices stand for scores of 1. With beta below 1 the slope at p = y, which only soft
    targets have, is infinite; it is 0 here.
    Inference: the sigmoid is the score. `predict` is yes where the logit is positive; `posterior`
    is the probability of a hard yes, for models whose targets were 0 and 1.
    """

    link = "sigmoid"
    beta: Annotated[
        float,
        About(
            "focusing; raising it silences scores that are nearly right sooner, 0 is binary "
            "cross-entropy",
            within="[0, inf)",
            fix="0 switches the focusing off",
            search=(0.0, 5.0),
        ),
    ] = 2.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets."""
        return element_loss(input, target, quality_focal_values(self.beta), options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of focal loss, which it is for targets of 0 and 1."""
        return calibrated_logits(outputs, focal_term(self.beta), options)


@function_of(QualityFocalLoss)
def quality_focal_loss(
    input: Tensor, target: Tensor, *, beta: float = 2.0, **shared: Unpack[WeightedBackgroundCall]
) -> Tensor:
    r"""Quality focal loss, :math:`|y - p|^\beta\,\mathrm{BCE}(x, y)`.

    Example:
        >>> import torch
        >>> quality_focal_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.8, 0.0]))
        tensor(0.0884)
    """
    values = quality_focal_values(float(beta))
    return element_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "quality_focal",
    QualityFocalLoss,
    quality_focal_loss,
    summary="focal loss for scores: |y - p|^beta times binary cross-entropy",
    formula=r"|y - p|^{\beta}\,\mathrm{BCE}(x, y)",
    reference=Reference(
        "Li, Wang, Wu, Chen, Hu, Li, Tang, Yang",
        "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes",
        "NeurIPS 2020",
        "equation 3",
    ),
    differs={
        "mmdetection": "QualityFocalLoss: takes class indices and scores apart and sums over the "
        "classes of a sample before the mean: reduction='batch_mean' here, for the target with the "
        "score in its class and 0 elsewhere. Its label num_classes, background, is a row of zeros",
    },
    examples=(
        "quality_focal()",
        "quality_focal(beta=0.5)",
    ),
)
