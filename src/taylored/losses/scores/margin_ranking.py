"""Margin ranking: of two scores, the one that should be larger has to lead."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import check_floats
from taylored.core.inputs.signs import check_signs, signs_of
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["MarginRankingLoss", "margin_ranking_loss"]


def margin_ranking_values(input: Tensor, other: Tensor, target: Tensor, margin: float) -> Tensor:
    """max(0, -t (a - b) + margin), by torch."""
    return F.margin_ranking_loss(input, other, target, margin=margin, reduction="none")


def ranked_pairs(input: Tensor, other: Tensor, target: Tensor) -> Tensor:
    """The target of two scores of the same shape."""
    check_floats(input=input, other=other)
    check_alike(input=input, other=other)
    return signs_of(target, input, tuple(input.shape))


def check_order(_input: Tensor, _other: Tensor, target: Tensor) -> None:
    """Refuse what is no order."""
    check_signs(target)


class MarginRankingLoss(ValueLoss):
    r"""Margin ranking, :math:`\max(0, -t (a - b) + \mu)`, of two scores a and b.

    `loss(input, other, target)`: t is 1 where `input` is to rank above `other`, and -1 where below.
    The values are those of `torch.nn.MarginRankingLoss`; shapes that it would broadcast, and
    targets of 0, which cost the margin there whatever the scores are, are refused.

    Example:
        >>> import torch
        >>> better, worse = torch.tensor([2.0, 0.5]), torch.tensor([0.0, 1.0])
        >>> MarginRankingLoss(margin=0.1)(better, worse, torch.tensor([1, 1]))
        tensor(0.3000)
    """

    takes: ClassVar[Takes] = "score_pairs"
    shapes: ClassVar[str] = "input and other (...), two scores; target of their shape, -1 or 1."
    margin: Annotated[
        float,
        About(
            "by how much the one has to lead; raising it keeps easier pairs in play",
            within="[0, inf)",
            search=(0.01, 10.0, "log"),
        ),
    ] = 0.0

    def forward(  # type: ignore[override]
        self,
        input: Tensor,
        other: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of pairs of scores against their order."""
        return value_loss(
            functools.partial(margin_ranking_values, margin=self.margin),
            input,
            other,
            ranked_pairs(input, other, target),
            domain=check_order,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )


@function_of(MarginRankingLoss)
def margin_ranking_loss(
    input: Tensor,
    other: Tensor,
    target: Tensor,
    *,
    margin: float = 0.0,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Margin ranking, :math:`\max(0, -t (a - b) + \mu)`, of two scores a and b.

    Example:
        >>> import torch
        >>> better, worse = torch.tensor([2.0, 0.5]), torch.tensor([0.0, 1.0])
        >>> margin_ranking_loss(better, worse, torch.tensor([1, 1]), reduction="none")
        tensor([0.0000, 0.5000])
    """
    order = ranked_pairs(input, other, target)
    values = functools.partial(margin_ranking_values, margin=margin)
    return value_loss(values, input, other, order, domain=check_order, **shared)


SPEC = spec_of(
    "margin_ranking",
    MarginRankingLoss,
    margin_ranking_loss,
    summary="of two scores, the one that should be larger has to lead",
    formula=r"\max(0, -t (a - b) + \mu)",
    reference=Reference(
        "Herbrich, Graepel, Obermayer",
        "Large Margin Rank Boundaries for Ordinal Regression",
        "Advances in Large Margin Classifiers 2000",
        "section 3",
    ),
    differs={"torch": "MarginRankingLoss: equal, and a target of 0 or other shapes pass there"},
    examples=("margin_ranking()", "margin_ranking(margin=0.5)"),
)
