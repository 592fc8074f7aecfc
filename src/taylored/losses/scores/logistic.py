"""Logistic loss: the log loss of a score."""

from __future__ import annotations

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.losses.scores.score_loss import ScoreLoss, score_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall

__all__ = ["LogisticLoss", "logistic_loss"]


def logistic_costs(margin: Tensor) -> Tensor:
    """log(1 + e^-m), exact at both ends."""
    return -F.logsigmoid(margin)


class LogisticLoss(ScoreLoss):
    r"""Logistic loss, :math:`\log (1 + e^{-m})`, m the score of the answer.

    m is the score where the answer is yes, and minus the score where it is no. It is the log loss
    of a score: binary cross-entropy, which takes class weights, smoothing and probabilities as
    targets besides. Here it stands with the other losses of margins. At m = 0 it is log 2, so that
    it bounds the 0-1 loss only after division by log 2.

    Example:
        >>> import torch
        >>> LogisticLoss()(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]))
        tensor(0.5505)
    """

    def costs(self, margin: Tensor) -> Tensor:
        """One value per score."""
        return logistic_costs(margin)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """The score is the log odds."""
        return torch.sigmoid(outputs)


@function_of(LogisticLoss)
def logistic_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""Logistic loss, :math:`\log (1 + e^{-m})`, m the score of the answer.

    Example:
        >>> import torch
        >>> logistic_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0.1269, 0.9741])
    """
    return score_loss(logistic_costs, input, target, **shared)


SPEC = spec_of(
    "logistic",
    LogisticLoss,
    logistic_loss,
    summary="log loss of a score; binary cross-entropy among the losses of margins",
    formula=r"\log (1 + e^{-m})",
    reference=Reference(
        "Cox",
        "The Regression Analysis of Binary Sequences",
        "Journal of the Royal Statistical Society B 1958",
        "section 2",
    ),
    differs={
        "torch": "SoftMarginLoss, of labels -1 and 1; infinite in float32 from m = -89 on",
        "scikit-learn": "SGDClassifier(loss='log_loss'); log_loss takes probabilities",
        "binary_cross_entropy": "the same values, in the vocabulary of the classification losses",
    },
    examples=("logistic()",),
)
