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

from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import one_hot
from taylored.core.links.margins import margins_of
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan, along_classes
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll
from taylored.core.terms.point import Point

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
        kept: positions that are not ignored, (N, 1[, S]); None if none can be, or for dense
            targets, which mark each element themselves.
        beside: further tensors of the loss, with one entry per position: (N, ...) or (N, ..., S).
    """

    logits: Tensor
    plan: Plan
    kept: Tensor | None
    beside: tuple[Tensor, ...]

    def piece(self, place: tuple[slice, ...]) -> ElementBatch:
        """The same for some of the positions, given as slices of the axes of the logits."""
        target = place if self.plan.target_kind == "dense" else place[:1] + place[2:]
        plan = replace(self.plan, target=self.plan.target[target], rows=self.plan.rows[place])
        kept = None if self.kept is None else self.kept[place]
        return ElementBatch(
            self.logits[place], plan, kept, tuple(each[place] for each in self.beside)
        )


@dataclass(frozen=True, eq=False)
class Elements:
    """Logits and truth of every class in the computing dtype.

    Attributes:
        z: logits; 0 where ignored, so that no gradient comes from there.
        y: truth of every class in [0, 1], as given: not smoothed; 0 where ignored.
        kept: False where ignored, shaped to broadcast; None if nothing can be.
    """

    z: Tensor
    y: Tensor
    kept: Tensor | None

    def margins(self, plan: Plan) -> Tensor:
        """The log odds of every class."""
        return margins_of(self.z) if plan.link == "softmax" else self.z


def element_batch(input: Logits, target: Tensor, options: Options, *beside: Tensor) -> ElementBatch:
    """The caller's arguments in canonical form."""
    logits, plan = prepare(input, target, nll, options)
    kept = None
    if plan.target_kind == "index" and options.ignore_index is not None:
        # Converted first: as a byte, -100 would be 156.
        kept = (target.long() != options.ignore_index).reshape(plan.target.shape).unsqueeze(1)
    return ElementBatch(logits, plan, kept, beside)


def elements(given: ElementBatch) -> Elements:
    """Logits and truth of every class, 0 where ignored."""
    dtype = computing_dtype(given.logits)
    kept = _kept(given)
    z, y = given.logits.to(dtype), _dense(given).to(dtype)
    if kept is not None:
        z, y = torch.where(kept, z, 0.0), torch.where(kept, y, 0.0)
    return Elements(z, y, kept)


def coefficients(given: ElementBatch, found: Elements) -> Tensor:
    """What the loss of each element is multiplied by, shaped to broadcast."""
    rows, plan = given.plan.rows, given.plan
    if found.kept is not None:  # index targets have this mask in their rows already
        rows = torch.where(found.kept, rows, 0.0)
    return rows if plan.positive is None else rows * along_classes(plan.positive, found.z)


def composed(given: ElementBatch, values: Values) -> Tensor:
    """The loss, differentiable in every slot and mode: the reference."""
    found = elements(given)
    at = Point(found.margins(given.plan))
    return reduced(given, found, values(at, found.y, *given.beside))


def reduced(given: ElementBatch, found: Elements, losses: Tensor) -> Tensor:
    """The losses of the elements, weighted and summed as the plan says."""
    losses = losses * coefficients(given, found)
    if given.plan.output == "sum":
        return losses.sum()
    return losses.sum(dim=1) if given.plan.link == "softmax" else losses


def _kept(given: ElementBatch) -> Tensor | None:
    """Where targets are not ignored, per position or per element; None if nothing can be."""
    plan = given.plan
    if plan.target_kind == "index":
        return given.kept
    if plan.ignore is None or plan.target.dtype == torch.bool:
        return None
    return plan.target != plan.ignore


def _dense(given: ElementBatch) -> Tensor:
    """The truth of every class. An index without a column is the truth of none."""
    if given.plan.target_kind == "dense":
        return given.plan.target
    return one_hot(given.plan.target, given.logits)
