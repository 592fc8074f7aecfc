"""Losses of all classes of a position at once supply one value per position.

Such a loss defines `values(z, y)` in plain differentiable torch code: logits and truth of every
class on axis 1, in the computing dtype. Shapes, masks, weights and reduction are those of the
engine, because they come from the same `prepare`, and so is the pass that keeps one buffer
(`core/rows/row_pass.py`). Where a position counts for nothing, its logits are finite and its value
is multiplied by 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from taylored.core.checks import fail, seen
from taylored.core.engine.element_loss import batch_of, loss_of_input
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.rows.row_pass import PositionValues, Rows

RowValues = Callable[[Tensor, Tensor], Tensor]
"""(logits, truths) to one value per position, (N, C[, S]) to (N[, S])."""


def row_loss(input: Logits, target: Tensor, values: RowValues, options: Options) -> Tensor:
    """The loss of one true class, or a distribution of classes, per position (softmax link).

    A position's weight is that of its class; of a distribution, the mean of the weights under it.
    """
    given = batch_of(input, target, options)
    return loss_of_input(input, given, Rows(lambda z, y, _: values(z, y)))


def truth_loss(input: Logits, target: Tensor, values: RowValues, options: Options) -> Tensor:
    """The loss of one true class per position, by index or one-hot (softmax link)."""
    if isinstance(target, Tensor) and target.is_floating_point() and seen(target):
        told = (target == 0) | (target == 1)
        if options.ignore_index is not None:
            told |= target == options.ignore_index
        if not told.all():
            fail("target", "one class per position: class indices, or 0 and 1 per class",
                 "probabilities of several classes",
                 "use target.argmax(1), or a loss of probabilities such as focal")  # fmt: skip
    return row_loss(input, target, values, options)


def set_loss(input: Logits, target: Tensor, values: PositionValues, options: Options) -> Tensor:
    """The loss of a set of true classes per position; "mean" divides by the positions.

    `values` is told besides whether a class counts, for each: some of them may be ignored.
    """
    if options.reduction == "mean" and options.normalizer is None:
        options = options._replace(reduction="batch_mean")
    given = batch_of(input, target, options)
    if given.plan.rows.shape[1] != 1:
        fail("sample_weight", "one number per position, or per sample",
             "one per element", "leave classes out by ignore_index in a float target")  # fmt: skip
    # From here on a position has one value, as with the softmax link.
    given = replace(given, plan=replace(given.plan, link="softmax"))
    return loss_of_input(input, given, Rows(values))
