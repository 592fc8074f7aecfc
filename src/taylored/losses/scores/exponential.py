"""Exponential loss: that of AdaBoost."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from taylored.losses.scores.score_loss import ScoreLoss, score_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["ExponentialLoss", "exponential_loss"]


def exponential_costs(margin: Tensor) -> Tensor:
    """e^-m."""
    return torch.exp(-margin)


class ExponentialLoss(ScoreLoss):
    r"""Exponential loss, :math:`e^{-m}`, m the score of the answer.

    m is the score where the answer is yes, and minus the score where it is no. The loss of
    AdaBoost: one score that is far on the wrong side rules all others. Below m = -88 it is larger
    than float32 can hold, and then value and gradient are infinite (below -709 in float64): nothing
    else is put in its place. Keep scores small, or use the logistic loss.

    Example:
        >>> import torch
        >>> ExponentialLoss()(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]))
        tensor(0.8920)
    """

    def costs(self, margin: Tensor) -> Tensor:
        """One value per score."""
        return exponential_costs(margin)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The minimum is half of the log odds."""
        return torch.sigmoid(2.0 * outputs)


@function_of(ExponentialLoss)
def exponential_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Exponential loss, :math:`e^{-m}`, m the score of the answer.

    Example:
        >>> import torch
        >>> exponential_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0.1353, 1.6487])
    """
    return score_loss(exponential_costs, input, target, **shared)


SPEC = spec_of(
    "exponential",
    ExponentialLoss,
    exponential_loss,
    summary="the loss of AdaBoost; a score far on the wrong side rules all others",
    formula=r"e^{-m}",
    value_range="(0, inf)",
    reference=Reference(
        "Freund, Schapire",
        "A Decision-Theoretic Generalization of On-Line Learning and an Application to Boosting",
        "Journal of Computer and System Sciences 1997",
        "its minimum: Friedman, Hastie, Tibshirani, Annals of Statistics 2000, lemma 1",
    ),
    differs={
        "scikit-learn": "GradientBoostingClassifier(loss='exponential'): the same values of scores "
        "that are half of its raw predictions",
    },
    examples=("exponential()",),
)
