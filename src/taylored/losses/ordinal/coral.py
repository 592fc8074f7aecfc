"""CORAL: is the rank above this threshold? One score, and a bias per threshold."""

from __future__ import annotations

import functools
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.losses.ordinal.threshold_loss import (
    ThresholdLoss,
    check_ranks,
    ranks_of,
    thresholds_of,
)
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, value_loss

__all__ = ["CORALLoss", "coral_loss"]


def coral_values(input: Tensor, target: Tensor) -> Tensor:
    """Log loss of every threshold."""
    margin = torch.where(target > thresholds_of(input), input, -input)
    return -F.logsigmoid(margin).sum(-1)


class CORALLoss(ThresholdLoss):
    r"""CORAL, the log loss of K - 1 questions: is the rank above threshold k?

    :math:`-\sum_k \log \sigma(\pm z_k)`, plus where the rank is above. The outputs are one score
    with a bias per threshold, `RankClassifier`: the probabilities of being above then fall from
    threshold to threshold. Outputs that rise somewhere belong to no distribution of ranks, and have
    the posterior NaN; `predict` counts the thresholds that the rank is above all the same.

    Example:
        >>> import torch
        >>> loss = CORALLoss(num_classes=3)
        >>> z = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
        >>> loss(z, torch.tensor([2, 0]))
        tensor(0.9132)
        >>> loss.posterior(z), loss.predict(z)
        (tensor([[0.1192, 0.3808, 0.5000],
                [0.5000, 0.2311, 0.2689]]), tensor([1, 0]))
    """

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per position."""
        return coral_values(input, target)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Above the threshold before, less above this one."""
        above, below = torch.sigmoid(outputs), torch.sigmoid(-outputs)
        between = above[..., :-1] - above[..., 1:]
        found = torch.cat([below[..., :1], between, above[..., -1:]], -1)
        rises = (outputs[..., 1:] > outputs[..., :-1]).any(-1, keepdim=True)
        return torch.where(rises, torch.nan, found)

    def decisions(self, outputs: Tensor) -> Tensor:
        """How many thresholds the rank is likelier above than not."""
        return (outputs > 0).sum(-1)


@function_of(CORALLoss)
def coral_loss(
    input: Tensor, target: Tensor, *, num_classes: int, **shared: Unpack[ValueCall]
) -> Tensor:
    r"""CORAL, the log loss of K - 1 questions: is the rank above threshold k?

    Example:
        >>> import torch
        >>> z = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
        >>> coral_loss(z, torch.tensor([2, 0]), num_classes=3, reduction="none")
        tensor([0.8201, 1.0064])
    """
    domain = functools.partial(check_ranks, num_classes=num_classes)
    ranks = ranks_of(input, target, num_classes)
    return value_loss(coral_values, input, ranks, domain=domain, inner=1, **shared)


SPEC = spec_of(
    "coral",
    CORALLoss,
    coral_loss,
    summary="ranks by one score and a bias per threshold (RankClassifier); K - 1 outputs",
    formula=r"-\sum_k \log \sigma((2 [y > k] - 1) z_k)",
    reference=Reference(
        "Cao, Mirjalili, Raschka",
        "Rank Consistent Ordinal Regression for Neural Networks with Application to Age Estimation",
        "Pattern Recognition Letters 2020",
        "section 3.3, with all thresholds of one importance",
    ),
    differs={"coral-pytorch": "coral_loss(logits, levels): equal; levels are target > threshold"},
    examples=("coral(num_classes=5)",),
)
