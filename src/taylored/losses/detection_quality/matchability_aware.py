"""Matchability-aware loss: a power of the box quality for a target, also where it is low."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import Values
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.point import Point
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, WeightedBackgroundCall, WeightedLoss

__all__ = ["MatchabilityAwareLoss", "matchability_aware_loss"]


def matchability_aware_values(gamma: float, alpha: float) -> Values:
    """Entropy of p under y^gamma for y > 0, -alpha sg(p^gamma) log(1 - p) for y = 0 (eq. 3)."""

    def values(at: Point, y: Tensor) -> Tensor:
        none = y <= 0  # NaN, of a truth that is none, stays
        # A power below one has no derivative at 0, where it is not asked for.
        quality = torch.where(none, 1.0, y) ** gamma
        positive = at.binary_cross_entropy(quality)
        negative = -alpha * at.complement().q_power(gamma).detach() * at.log_q
        return torch.where(none, negative, positive)

    return values


class MatchabilityAwareLoss(WeightedLoss, BackgroundLoss):
    r"""MAL: :math:`\mathrm{BCE}(x, y^\gamma)` for y > 0, :math:`-p^\gamma \log(1 - p)` for y = 0.

    This trains the score of a detection to be its quality: the target of the true class is the
    overlap (IoU) of box and ground truth, and 0 everywhere else. Varifocal loss weighs a match by
    its overlap and hardly sees poor ones; here every match counts in full, and a poor one that is
    confident is pushed down. The weight of negatives is a constant for the gradient. Detectors use
    the number of boxes as `normalizer`.

    Example:
        >>> import torch
        >>> loss = MatchabilityAwareLoss()
        >>> loss(torch.tensor([[2.0, 3.0]]), torch.tensor([[0.1, 0.0]]))
        tensor(2.4490)

    Class indices stand for scores of 1. Inference: the sigmoid is the score, of which
    sigmoid^(1 / gamma) estimates the overlap. `predict` is yes where the logit is positive.
    """

    link = "sigmoid"
    unreadable = "the weight of negatives is held constant, so that no loss is at its minimum"
    gamma: Annotated[
        float,
        About(
            "power of the quality and focusing of negatives; raising it asks for lower scores of "
            "poor matches, and silences easy negatives sooner",
            within="(0, inf)",
            fix="1.5 is the published choice",
            search=(0.5, 3.0),
        ),
    ] = 1.5
    alpha: Annotated[
        float,
        About(
            "weight of negatives against positives; raising it lowers false positives",
            within="[0, inf)",
            fix="1 is the published choice",
            search=(0.1, 2.0),
        ),
    ] = 1.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets."""
        values = matchability_aware_values(self.gamma, self.alpha)
        return element_loss(input, target, values, options)


@function_of(MatchabilityAwareLoss)
def matchability_aware_loss(
    input: Logits,
    target: Tensor,
    *,
    gamma: float = 1.5,
    alpha: float = 1.0,
    **shared: Unpack[WeightedBackgroundCall],
) -> Tensor:
    r"""MAL: :math:`\mathrm{BCE}(x, y^\gamma)` for y > 0, :math:`-p^\gamma \log(1 - p)` for y = 0.

    Example:
        >>> import torch
        >>> matchability_aware_loss(torch.tensor([2.0, 0.0]), torch.tensor([0.8, 0.0]))
        tensor(0.4705)
    """
    values = matchability_aware_values(gamma, alpha)
    return element_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "matchability_aware",
    MatchabilityAwareLoss,
    matchability_aware_loss,
    summary="a power of the quality as target, whole weight for poor matches too (MAL, DEIM)",
    formula=r"\mathrm{BCE}(x, y^{\gamma}) \;(y > 0),\quad "
    r"-\alpha\,\mathrm{sg}(p^{\gamma}) \log(1 - p) \;(y = 0)",
    reference=Reference(
        "Huang, Lu, Cun, Yu, Zhou, Shen",
        "DEIM: DETR with Improved Matching for Fast Convergence",
        "CVPR 2025",
        "matchability-aware loss",
    ),
    differs={
        "transformers": "loss_labels_mal of loss_deimv2: equal to reduction='none'; its mean over "
        "queries times their number, over the number of boxes, is normalizer=num_boxes. Its "
        "mal_alpha=None is alpha=1",
    },
    examples=("matchability_aware()", "matchability_aware(gamma=0.7, alpha=0.4)"),
)
