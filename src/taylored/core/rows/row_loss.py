"""Losses of all classes of a position at once supply one value per position.

Such a loss defines `values(z, y)` in plain differentiable torch code: logits and truth of every
class on axis 1, in the computing dtype. Shapes, masks, weights and reduction are those of the
engine, because they come from the same `prepare`. Where a position counts for nothing, its logits
are finite and its value is multiplied by 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.elementwise import Elements, element_batch, elements
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import smoothed
from taylored.core.plan.canonical import in_shape_of
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan

RowValues = Callable[[Tensor, Tensor], Tensor]
"""(logits, truths) to one value per position, (N, C[, S]) to (N[, S])."""

SetValues = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, truths, whether a class counts) to one value per position."""


def row_loss(input: Logits, target: Tensor, values: RowValues, options: Options) -> Tensor:
    """The loss of one true class, or a distribution of classes, per position (softmax link).

    A position's weight is that of its class; of a distribution, the mean of the weights under it.
    """
    given = element_batch(input, target, options)
    found, plan = elements(given), given.plan
    y = smoothed(found.y, options.label_smoothing, found.z.shape[1])
    losses = values(found.z, y) * _position_weight(found, y, plan)
    return in_shape_of(input, losses.sum() if plan.output == "sum" else losses, plan)


def set_loss(input: Logits, target: Tensor, values: SetValues, options: Options) -> Tensor:
    """The loss of a set of true classes per position; "mean" divides by the positions."""
    if options.reduction == "mean" and options.normalizer is None:
        options = options._replace(reduction="batch_mean")
    given = element_batch(input, target, options)
    found, plan = elements(given), given.plan
    if plan.rows.shape[1] != 1:
        fail("sample_weight", "one number per position, or per sample",
             "one per element", "leave classes out by ignore_index in a float target")  # fmt: skip
    counted = found.counted()
    losses = values(found.z, found.y, counted) * plan.rows.squeeze(1)
    # A position of which no class counts costs nothing, whatever it holds.
    losses = torch.where(counted.any(dim=1), losses, 0.0)
    if plan.output == "sum":
        return losses.sum()
    return losses.reshape(input.shape[:1] + input.shape[2:] if input.dim() > 1 else ())


def _position_weight(found: Elements, y: Tensor, plan: Plan) -> Tensor:
    if plan.positive is None:
        return plan.rows.squeeze(1)
    return (y * found.coefficient).sum(dim=1)
