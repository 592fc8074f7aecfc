"""Modified Huber loss: the squared hinge, linear where a score is far on the wrong side."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.losses.scores.score_loss import ScoreLoss, score_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["ModifiedHuberLoss", "modified_huber_loss"]


def modified_huber_costs(margin: Tensor) -> Tensor:
    """max(0, 1 - m)^2 for m >= -1, -4 m below."""
    shortfall = (1.0 - margin).clamp_min(0.0)
    # s (2 s - s) up to 2, 2 (2 s - 2) beyond: one expression, in which nothing is squared far away.
    near = shortfall.clamp_max(2.0)
    return near * (2.0 * shortfall - near)


class ModifiedHuberLoss(ScoreLoss):
    r"""Modified Huber loss: :math:`\max(0, 1 - m)^2` for :math:`m \ge -1`, :math:`-4 m` below.

    m is the score where the answer is yes, and minus the score where it is no. Outliers pull with a
    force of 4 at most, and the scores tell probabilities as those of the squared hinge do.

    Example:
        >>> import torch
        >>> ModifiedHuberLoss()(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]))
        tensor(1.1250)
    """

    def costs(self, margin: Tensor) -> Tensor:
        """One value per score."""
        return modified_huber_costs(margin)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The minimum is 2 eta - 1, and any score beyond where the answer is certain."""
        return (0.5 * (outputs + 1.0)).clamp(0.0, 1.0)


@function_of(ModifiedHuberLoss)
def modified_huber_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Modified Huber loss: :math:`\max(0, 1 - m)^2` for :math:`m \ge -1`, :math:`-4 m` below.

    Example:
        >>> import torch
        >>> modified_huber_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0.0000, 2.2500])
    """
    return score_loss(modified_huber_costs, input, target, **shared)


SPEC = spec_of(
    "modified_huber",
    ModifiedHuberLoss,
    modified_huber_loss,
    summary="squared hinge near the truth, linear far on the wrong side; tells probabilities",
    formula=r"\max(0, 1 - m)^2\ (m \ge -1),\ -4 m\ (m < -1)",
    reference=Reference(
        "Zhang",
        "Solving Large Scale Linear Prediction Problems Using Stochastic Gradient Descent "
        "Algorithms",
        "ICML 2004",
        "modified Huber loss",
    ),
    differs={
        "scikit-learn": "SGDClassifier(loss='modified_huber'), of labels -1 and 1; its "
        "predict_proba is the `posterior` here",
    },
    examples=("modified_huber()",),
)
