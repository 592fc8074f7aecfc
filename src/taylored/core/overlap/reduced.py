"""From what each ratio costs to what a call returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.checks import per_class
from taylored.core.numerics import computing_dtype, harmless, tensor_of
from taylored.core.overlap.batch import Batch
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.sums import Cost, class_weights, sums_of
from taylored.core.plan.denominator import denominator_of, divided
from taylored.core.plan.options import check_reduction


class Ratios(NamedTuple):
    """What each ratio costs, (G, C), or (G, 1) for all classes together.

    Attributes:
        cost: of each ratio; anything where it does not count.
        true: the weighted mass of its truths.
        counted: the weight of its positions.
    """

    cost: Tensor
    true: Tensor
    counted: Tensor


Costs = Callable[[Batch], Ratios]


def costs_of_sums(
    batch: Batch, options: OverlapOptions, cost: Cost, *, squares: bool = False
) -> Ratios:
    """The costs of a loss that is a function of the sums."""
    smooth = (options.smooth_numerator, options.smooth_denominator)
    sums = sums_of(batch, squares, smooth)
    if options.pooled:
        sums = sums.pooled(class_weights(options.weight, sums.both))
    return Ratios(cost(sums.settled()), sums.true, sums.counted)


def reduced(batch: Batch, found: Ratios, options: OverlapOptions) -> Tensor:
    """The costs, weighted and reduced; without any that counts, 0 with a graph."""
    check_reduction(options.reduction, options.normalizer)
    counted = found.counted > 0
    cost = found.cost
    if options.empty == "skip":
        counted = counted & (found.true != 0)
    elif options.empty == "perfect":
        cost = torch.where(found.true == 0, 0.0, cost)
    cost = torch.where(counted, cost, 0.0)
    weight = None if options.pooled else class_weights(options.weight, cost)
    if weight is not None:
        cost = harmless(cost, weight == 0) * weight
    if batch.samples is not None:
        cost = torch.where(batch.samples == 0, 0.0, cost * batch.samples)
    dtype = computing_dtype(batch.logits)
    if options.reduction == "none":
        return _unreduced(cost, options).to(dtype)
    amount = counted.sum()
    denominator = denominator_of(
        options.reduction,
        options.normalizer,
        mean=amount if weight is None else (counted * weight).sum(),
        batch_mean=amount,
    )
    return divided(cost.sum(), denominator, options.normalizer).to(dtype)


def _unreduced(cost: Tensor, options: OverlapOptions) -> Tensor:
    """The costs without the axes that the average does not have."""
    if not options.by_sample:
        cost = cost.squeeze(0)
    return cost.squeeze(-1) if options.pooled else cost


def check_weight(options: OverlapOptions, classes: int) -> None:
    """Refuse class weights of another number of classes."""
    if options.weight is not None:
        per_class("weight", tensor_of(options.weight), classes)
