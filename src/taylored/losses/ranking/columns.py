"""The base of losses that order the samples of a batch, one class at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.elementwise import element_batch, elements
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.core.terms.point import inside
from taylored.modules.fields.parameter import About
from taylored.modules.vocabulary import BackgroundLoss


@dataclass(frozen=True, eq=False)
class Columns:
    """The samples of every class, (C, M), M positions of the batch.

    Attributes:
        z: logits, finite.
        yes: whether a sample counts and is of the class.
        no: whether it counts and is not.
        weight: sample weights; 0 where a sample counts for nothing.
    """

    z: Tensor
    yes: Tensor
    no: Tensor
    weight: Tensor

    def mean(self, values: Tensor, among: Tensor) -> Tensor:
        """The weighted mean over some of the samples of a class, (C, 1); 0 over none."""
        weight = torch.where(among, self.weight, 0.0)
        return (weight * values).sum(1, keepdim=True) / one_if_zero(weight.sum(1, keepdim=True))


ColumnValues = Callable[[Columns], Tensor]
"""One loss per class, (C,); what it is for a class without both sides does not matter."""


def ranking_loss(input: Logits, target: Tensor, values: ColumnValues, options: Options) -> Tensor:
    """The mean, or sum, over the classes that have samples on both sides."""
    if options.reduction not in ("mean", "sum"):
        fail("reduction", '"mean" or "sum": samples have no values of their own',
             options.reduction, 'use reduction="mean"')  # fmt: skip
    given = element_batch(input, target, options._replace(reduction="none", normalizer=None))
    found = elements(given)
    z, y, counted, weight = (
        each.movedim(1, 0).reshape(each.shape[1], -1)
        for each in (found.z, found.y, found.counted(), found.coefficient.expand(found.z.shape))
    )
    columns = Columns(inside(z), counted & (y > 0.5), counted & ~(y > 0.5), weight)
    both = columns.yes.any(1) & columns.no.any(1)
    total = torch.where(both, values(columns), 0.0).sum().to(z.dtype)
    if options.normalizer is not None:
        amount = torch.as_tensor(options.normalizer, device=z.device).to(z)
        return torch.where(amount == 0, 0.0, total / one_if_zero(amount))
    return total if options.reduction == "sum" else total / one_if_zero(both.sum())


class RankingLoss(BackgroundLoss):
    """A loss of the order of the samples of a batch, for each class by itself."""

    link = "sigmoid"
    unreadable = "it orders samples, and no threshold is trained"
    reduction: Annotated[
        Literal["mean", "sum"],
        About(
            '"mean" or "sum" over the classes that have samples on both sides in the batch; '
            "samples have no values of their own",
            shared=True,
            slot=True,
        ),
    ] = "mean"

    def of_classes(self, columns: Columns) -> Tensor:
        """One loss per class, (C,)."""
        raise NotImplementedError

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The mean, or sum, over the classes that have samples on both sides."""
        return ranking_loss(input, target, self.of_classes, options)


Margin = Annotated[
    float,
    About(
        "by how much the score of a sample of the class is to lie above that of another; raising "
        "it keeps a pull on pairs in the right order",
        within="(0, inf)",
        fix="1, the whole range of the scores, is usual",
        search=(0.2, 1.0),
    ),
]
