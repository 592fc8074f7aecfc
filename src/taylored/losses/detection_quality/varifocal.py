"""Varifocal loss: a quality score for a target, negatives focused, positives weighted by it."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import Values
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.elementary import nll
from taylored.core.terms.point import Point
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, WeightedBackgroundCall, WeightedLoss

__all__ = ["VarifocalLoss", "varifocal_loss"]


def varifocal_values(alpha: float, gamma: float) -> Values:
    """y times the entropy of p under y for y > 0, -alpha p^gamma log(1 - p) for y = 0 (eq. 2)."""

    def values(at: Point, y: Tensor) -> Tensor:
        positive = y * at.binary_cross_entropy(y)
        negative = -alpha * at.complement().q_power(gamma) * at.log_q
        return torch.where(y <= 0, negative, positive)  # NaN, of a truth that is none, stays

    return values


class VarifocalLoss(WeightedLoss, BackgroundLoss):
    r"""Varifocal loss: y BCE(x, y) for y > 0, :math:`-\alpha p^\gamma \log(1 - p)` for y = 0.

    This trains the score of a detection to be its quality: the target of the true class is the
    overlap (IoU) of box and ground truth, and 0 everywhere else. Better boxes count more. As
    `normalizer` detectors use the number of positives, or the sum of their scores.

    Example:
        >>> import torch
        >>> loss = VarifocalLoss(alpha=0.5)
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.9, 0.0]]))
        tensor(0.8387)

    Class indices stand for scores of 1. Inference: the sigmoid is the score. `predict` is yes where
    the logit is positive; `posterior` is the probability of a hard yes, for models whose targets
    were 0 and 1.
    """

    link = "sigmoid"
    alpha: Annotated[
        float,
        About(
            "weight of negatives against positives; raising it lowers false positives",
            within="[0, 1]",
            fix="it is the weight of negatives, 0.75 in the paper",
            search=(0.1, 1.0),
        ),
    ] = 0.75
    gamma: Annotated[
        float,
        About(
            "focusing of negatives (positives are rare and keep their loss); raising it silences "
            "easy negatives sooner",
            within="[0, inf)",
            fix="0 switches the focusing off",
            search=(0.0, 5.0),
        ),
    ] = 2.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets."""
        return element_loss(input, target, varifocal_values(self.alpha, self.gamma), options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """From what it is for targets of 0 and 1: cross-entropy for yes, focal loss for no."""
        no = self.alpha * focal_term(self.gamma)
        return calibrated_logits(outputs, nll, options._replace(rejection=no))


@function_of(VarifocalLoss)
def varifocal_loss(
    input: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.75,
    gamma: float = 2.0,
    **shared: Unpack[WeightedBackgroundCall],
) -> Tensor:
    r"""Varifocal loss: y BCE(x, y) for y > 0, :math:`-\alpha p^\gamma \log(1 - p)` for y = 0.

    Example:
        >>> import torch
        >>> varifocal_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.8, 0.0]))
        tensor(0.2758)
    """
    values = varifocal_values(alpha, gamma)
    return element_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "varifocal",
    VarifocalLoss,
    varifocal_loss,
    summary="quality scores as targets: positives weighted by theirs, negatives focused",
    formula=r"y\,\mathrm{BCE}(x, y) \;(y > 0),\quad -\alpha\,p^{\gamma} \log(1 - p) \;(y = 0)",
    reference=Reference(
        "Zhang, Wang, Dayoub, Suenderhauf",
        "VarifocalNet: An IoU-aware Dense Object Detector",
        "CVPR 2021",
        "equation 2",
    ),
    differs={
        "mmdetection": "VarifocalLoss(iou_weighted=True): equal, with reduction='none' or an "
        "avg_factor for normalizer; iou_weighted=False, positives of weight one, is left out. It "
        "takes |p - y|^gamma of floating-point y <= 0, here p^gamma",
    },
    examples=(
        "varifocal()",
        "varifocal(alpha=0.3, gamma=0.5)",
    ),
)
