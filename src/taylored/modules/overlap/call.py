"""A call of an overlap loss: from logits and truths to the ratios, and to what they cost."""

from __future__ import annotations

import functools

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.overlap.batch import Batch, read_batch
from taylored.core.overlap.options import OverlapOptions
from taylored.core.overlap.reduced import Costs, check_weight, costs_of_sums, reduced
from taylored.core.overlap.sums import Cost
from taylored.modules.class_axis import at_home


def overlap_loss(input: Logits, target: Tensor, costs: Costs, options: OverlapOptions) -> Tensor:
    """The loss of logits against truths, from what finds the cost of every ratio."""
    if options.class_dim != 1:
        return _moved(input, target, costs, options)
    batch = read_batch(input, target, options)
    check_weight(options, batch.classes)
    return reduced(batch, costs(batch), options)


def region_loss(
    input: Logits,
    target: Tensor,
    cost: Cost,
    options: OverlapOptions,
    *,
    squares: bool = False,
) -> Tensor:
    """The loss of a cost of each region's sums."""
    costs = functools.partial(costs_of_sums, options=options, cost=cost, squares=squares)
    return overlap_loss(input, target, costs, options)


def check_axes(batch: Batch, least: int, most: int | None = None) -> None:
    """Refuse logits with too few or too many axes of positions."""
    axes = len(batch.spatial)
    if axes < least or (most is not None and axes > most):
        count = f"at least {least}" if most is None else f"{least} to {most}"
        fail(
            "input",
            f"logits (N, C, d1, ...) with {count} axes of positions",
            f"{axes} of them",
            "give the positions their axes: logits.unflatten or unsqueeze",
        )


def _moved(input: Logits, target: Tensor, costs: Costs, options: OverlapOptions) -> Tensor:
    """The loss of a caller who has the classes on another axis; a result has them last."""
    input = check_input(input)
    shape: list[int] = []

    def inside(input: Logits, target: Tensor, weight: Tensor | None) -> Tensor:
        there = options._replace(class_dim=1, sample_weight=weight)
        found = overlap_loss(input, target, costs, there)
        shape[:] = found.shape
        return found.reshape(-1) if found.dim() > 1 else found  # not to be moved with the classes

    found = at_home(inside, options.class_dim, 1, input, target, options.sample_weight)
    return found.reshape(shape)
