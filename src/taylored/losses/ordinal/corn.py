"""CORN: is the rank above this threshold, given that it is above the one before?"""

from __future__ import annotations

import functools
import math
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

__all__ = ["CORNLoss", "corn_loss"]


def corn_values(input: Tensor, target: Tensor) -> Tensor:
    """Log loss of every threshold up to the first that the rank is not above."""
    threshold = thresholds_of(input)
    asked = target >= threshold
    margin = torch.where(target > threshold, input, -input)
    log_p = F.logsigmoid(torch.where(asked, margin, 0.0))
    return -torch.where(asked, log_p, 0.0).sum(-1)


class CORNLoss(ThresholdLoss):
    r"""CORN, the log loss of a chain of questions: above threshold k, given above all before?

    :math:`-\sum_{k < y} \log \sigma(z_k) - [y < K - 1] \log \sigma(-z_y)`: a rank is asked about up
    to the first threshold that it is not above, and the sum is minus the logarithm of its
    probability. The probabilities of being above fall by construction, whatever the outputs are.

    Example:
        >>> import torch
        >>> loss = CORNLoss(num_classes=3)
        >>> z = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
        >>> loss(z, torch.tensor([2, 0]))
        tensor(0.7566)
        >>> loss.posterior(z), loss.predict(z)
        (tensor([[0.1192, 0.4404, 0.4404],
                [0.5000, 0.3655, 0.1345]]), tensor([1, 0]))
    """

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per position."""
        return corn_values(input, target)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Above all thresholds before, and not above this one."""
        above = F.logsigmoid(outputs).cumsum(-1)
        nothing = torch.zeros_like(outputs[..., :1])
        reached = torch.cat([nothing, above], -1)
        return torch.exp(reached + torch.cat([F.logsigmoid(-outputs), nothing], -1))

    def decisions(self, outputs: Tensor) -> Tensor:
        """How many thresholds the rank is likelier above than not."""
        return (F.logsigmoid(outputs).cumsum(-1) > -math.log(2.0)).sum(-1)


@function_of(CORNLoss)
def corn_loss(
    input: Tensor, target: Tensor, *, num_classes: int, **shared: Unpack[ValueCall]
) -> Tensor:
    r"""CORN, the log loss of a chain of questions: above threshold k, given above all before?

    Example:
        >>> import torch
        >>> z = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
        >>> corn_loss(z, torch.tensor([2, 0]), num_classes=3, reduction="none")
        tensor([0.8201, 0.6931])
    """
    domain = functools.partial(check_ranks, num_classes=num_classes)
    ranks = ranks_of(input, target, num_classes)
    return value_loss(corn_values, input, ranks, domain=domain, inner=1, **shared)


SPEC = spec_of(
    "corn",
    CORNLoss,
    corn_loss,
    summary="ranks by a chain of questions, whose probabilities are consistent; K - 1 outputs",
    formula=r"-\sum_{k < y} \log \sigma(z_k) - [y < K - 1] \log \sigma(-z_y)",
    reference=Reference(
        "Shi, Cao, Raschka",
        "Deep Neural Networks for Rank-Consistent Ordinal Regression Based on Conditional "
        "Probabilities",
        "Pattern Analysis and Applications 2023",
        "section 3.3",
    ),
    differs={
        "coral-pytorch": "corn_loss(logits, ranks, num_classes) divides by the questions: "
        "normalizer=(target + 1).clamp_max(K - 1).sum() here",
    },
    examples=("corn(num_classes=5)",),
)
