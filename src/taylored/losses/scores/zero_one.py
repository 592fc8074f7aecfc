"""0-1 loss: the share of wrong decisions, which is a metric and has no gradient."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from taylored.losses.scores.score_loss import ScoreLoss, answers, check_answers
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, value_loss

__all__ = ["ZeroOneLoss", "zero_one_loss"]


def zero_one_values(input: Tensor, target: Tensor) -> Tensor:
    """1 where the decision is wrong, yes being a score above 0."""
    wrong = ((input > 0) != (target > 0.5)).to(input.dtype)
    unknown = input.isnan() | target.isnan()
    # The step has no slope: the zero keeps the value on the graph of whoever adds losses up.
    return torch.where(unknown, torch.nan, wrong + 0.0 * torch.nan_to_num(input, 0.0, 0.0, 0.0))


class ZeroOneLoss(ScoreLoss):
    r"""0-1 loss: 1 where the decision is wrong, else 0.

    The decision is yes where the score is positive. It is what the others stand in for, and a
    metric: its gradient is exactly 0.

    Example:
        >>> import torch
        >>> ZeroOneLoss()(torch.tensor([2.0, 0.5, -1.0, 0.0]), torch.tensor([1, 0, 0, 1]))
        tensor(0.5000)
    """

    unreadable: ClassVar[str] = "only the sign of a score matters to it, and no size is trained"

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per score."""
        return zero_one_values(input, target)


@function_of(ZeroOneLoss)
def zero_one_loss(input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    r"""0-1 loss: 1 where the decision is wrong, else 0.

    Example:
        >>> import torch
        >>> zero_one_loss(torch.tensor([2.0, 0.5]), torch.tensor([1, 0]), reduction="none")
        tensor([0., 1.])
    """
    given = answers(input, target)
    return value_loss(zero_one_values, input, given, domain=check_answers, **shared)


SPEC = spec_of(
    "zero_one",
    ZeroOneLoss,
    zero_one_loss,
    summary="share of wrong decisions; a metric, without a gradient",
    formula=r"[(x > 0) \ne y]",
    value_range="{0, 1}",
    reference=Reference(
        "Vapnik", "The Nature of Statistical Learning Theory", "1995", "section 1.3"
    ),
    differs={"scikit-learn": "zero_one_loss takes decisions, and no scores"},
    examples=("zero_one()",),
)
