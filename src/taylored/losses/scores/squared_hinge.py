"""Squared hinge loss: the hinge without its kink, whose minimum tells probabilities."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.losses.scores.score_loss import ScoreLoss, score_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["SquaredHingeLoss", "squared_hinge_loss"]


def squared_hinge_costs(margin: Tensor) -> Tensor:
    """max(0, 1 - m)^2."""
    return (1.0 - margin).clamp_min(0.0) ** 2


class SquaredHingeLoss(ScoreLoss):
    r"""Squared hinge loss, :math:`\max(0, 1 - m)^2`, m the score of the answer.

    m is the score where the answer is yes, and minus the score where it is no. Its minimum is twice
    the probability of a yes less one, so that its scores tell probabilities; a score that is far on
    the wrong side costs its square, which the modified Huber loss makes linear.

    Example:
        >>> import torch
        >>> SquaredHingeLoss()(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]))
        tensor(1.1250)
    """

    def costs(self, margin: Tensor) -> Tensor:
        """One value per score."""
        return squared_hinge_costs(margin)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The minimum is 2 eta - 1, and any score beyond where the answer is certain."""
        return (0.5 * (outputs + 1.0)).clamp(0.0, 1.0)


@function_of(SquaredHingeLoss)
def squared_hinge_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Squared hinge loss, :math:`\max(0, 1 - m)^2`, m the score of the answer.

    Example:
        >>> import torch
        >>> squared_hinge_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0.0000, 2.2500])
    """
    return score_loss(squared_hinge_costs, input, target, **shared)


SPEC = spec_of(
    "squared_hinge",
    SquaredHingeLoss,
    squared_hinge_loss,
    summary="the hinge squared: smooth, and its scores tell probabilities",
    formula=r"\max(0, 1 - m)^2",
    reference=Reference(
        "Zhang",
        "Statistical Behavior and Consistency of Classification Methods Based on Convex Risk "
        "Minimization",
        "Annals of Statistics 2004",
        "modified least squares",
    ),
    differs={
        "scikit-learn": "SGDClassifier(loss='squared_hinge') and LinearSVC, of labels -1 and 1",
        "Keras": "SquaredHinge: labels -1 and 1, or 0 and 1; its mean is over the last axis first",
    },
    examples=("squared_hinge()",),
)
