"""Losses that depend on more than p_t supply one value per element; the engine does the rest.

Such a loss defines `values(at, y)` in plain differentiable torch code, for every class of some
positions. `at` is the point of the class, whose margin is the logit for the sigmoid link and
log(p / (1 - p)) for softmax, and y is its truth. Shapes, masks, weights and reduction are those of
the engine, because they come from the same `prepare`.

The composed form here gives every derivative, and is what a compiler sees. Large inputs are run
piece by piece by `core/engine/elementwise_pass.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from taylored.core.context import compiling
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_truths, one_hot
from taylored.core.links.margins import margins_of
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan, along_classes
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll
from taylored.core.terms.point import Point, continued, inside

Values = Callable[..., Tensor]
"""(point, truth, *beside) -> one loss per element.

All arguments belong to the same positions and have every class. The result for a position must not
depend on other positions. For the sigmoid link its derivative must not depend on other classes.
"""


@dataclass(frozen=True, eq=False)
class ElementBatch:
    """The arguments of an elementwise loss in canonical form.

    Attributes:
        logits: (N, C) or (N, C, S), as given.
        plan: target, rows (mask, sample weights and denominator in one) and class weights.
        beside: further tensors of the loss, with one entry per position: (N, ...) or (N, ..., S).
    """

    logits: Tensor
    plan: Plan
    beside: tuple[Tensor, ...]

    def piece(self, place: tuple[slice, ...]) -> ElementBatch:
        """The same for some of the positions, given as slices of the axes of the logits."""
        target = place if self.plan.target_kind == "dense" else place[:1] + place[2:]
        plan = replace(self.plan, target=self.plan.target[target], rows=self.plan.rows[place])
        return ElementBatch(self.logits[place], plan, tuple(each[place] for each in self.beside))


@dataclass(frozen=True, eq=False)
class Elements:
    """Logits and truth of every class in the computing dtype.

    Attributes:
        z: logits; finite where an element counts for nothing.
        y: truth of every class in [0, 1], as given: not smoothed; 0 where ignored.
        coefficient: what the loss of each element is multiplied by, shaped to broadcast; 0 where
            the element counts for nothing.
    """

    z: Tensor
    y: Tensor
    coefficient: Tensor

    def margins(self, plan: Plan) -> Tensor:
        """The log odds of every class, which may be infinite."""
        return margins_of(self.z) if plan.link == "softmax" else self.z

    def counted(self) -> Tensor:
        """Whether an element counts for anything, for each."""
        return (self.coefficient != 0).expand(self.z.shape)


def element_batch(input: Logits, target: Tensor, options: Options, *beside: Tensor) -> ElementBatch:
    """The caller's arguments in canonical form."""
    logits, plan = prepare(input, target, nll, options)
    if plan.link == "sigmoid" and plan.target_kind == "dense" and not compiling():
        check_truths(plan.target, plan.ignore, plan.rows)
    return ElementBatch(logits, plan, beside)


def elements(given: ElementBatch) -> Elements:
    """Logits, truth and coefficient of every class."""
    dtype, plan = computing_dtype(given.logits), given.plan
    z, y, rows = given.logits.to(dtype), _dense(given).to(dtype), plan.rows
    if plan.target_kind == "index":  # an ignored class has been replaced by 0
        y = torch.where(rows == 0, 0.0, y)
    elif plan.ignore is not None and plan.target.dtype != torch.bool:
        kept = plan.target != plan.ignore
        y, rows = torch.where(kept, y, 0.0), torch.where(kept, rows, 0.0)
    coefficient = rows if plan.positive is None else rows * along_classes(plan.positive, z)
    # A class without weight still has a share in the softmax of the others.
    nothing = (rows if plan.link == "softmax" else coefficient) == 0
    return Elements(harmless(z, nothing), y, coefficient)


def composed(given: ElementBatch, values: Values) -> Tensor:
    """The loss, differentiable in every slot and mode: the reference."""
    found = elements(given)
    margins = found.margins(given.plan)
    losses = values(Point(inside(margins)), found.y, *given.beside)
    return reduced(given, continued(losses, margins, found.coefficient) * found.coefficient)


def reduced(given: ElementBatch, losses: Tensor) -> Tensor:
    """The weighted losses of the elements, summed as the plan says."""
    if given.plan.output == "sum":
        return losses.sum()
    return losses.sum(dim=1) if given.plan.link == "softmax" else losses


def _dense(given: ElementBatch) -> Tensor:
    """The truth of every class. An index without a column is the truth of none."""
    if given.plan.target_kind == "dense":
        return given.plan.target
    return one_hot(given.plan.target, given.logits)
