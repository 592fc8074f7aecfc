"""Perceptron loss: how far a score is on the wrong side."""

from __future__ import annotations

from typing import ClassVar, Unpack

from torch import Tensor

from taylored.losses.scores.hinge import hinge_costs
from taylored.losses.scores.score_loss import ScoreLoss, score_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["PerceptronLoss", "perceptron_loss"]


def perceptron_costs(margin: Tensor) -> Tensor:
    """max(0, -m)."""
    return hinge_costs(margin, 0.0)


class PerceptronLoss(ScoreLoss):
    r"""Perceptron loss, :math:`\max(0, -m)`, m the score of the answer.

    m is the score where the answer is yes, and minus the score where it is no. It is content with
    any score on the right side, and 0 where all scores are. At a score of 0 the slope is that of
    the wrong side, so that a model of zeros begins to learn, as the perceptron's rule does.

    Example:
        >>> import torch
        >>> PerceptronLoss()(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]))
        tensor(0.2500)
    """

    unreadable: ClassVar[str] = "it is least where all scores are 0, whatever the probabilities are"

    def costs(self, margin: Tensor) -> Tensor:
        """One value per score."""
        return perceptron_costs(margin)


@function_of(PerceptronLoss)
def perceptron_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Perceptron loss, :math:`\max(0, -m)`, m the score of the answer.

    Example:
        >>> import torch
        >>> perceptron_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0.0000, 0.5000])
    """
    return score_loss(perceptron_costs, input, target, **shared)


SPEC = spec_of(
    "perceptron",
    PerceptronLoss,
    perceptron_loss,
    summary="how far a score is on the wrong side; the hinge without a margin",
    formula=r"\max(0, -m)",
    reference=Reference(
        "Rosenblatt",
        "The Perceptron: A Probabilistic Model for Information Storage and Organization in the "
        "Brain",
        "Psychological Review 1958",
        "as a loss: Duda et al., Pattern Classification 2001, section 5.5",
    ),
    differs={
        "scikit-learn": "Perceptron and SGDClassifier(loss='perceptron'), of labels -1 and 1",
    },
    examples=("perceptron()",),
)
