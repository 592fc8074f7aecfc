"""For losses that are no function of p_t alone: the shared vocabulary around values of their own.

A loss hands in `values(x, y)`, plain differentiable and stable torch code for every class of every
position: x is the log odds of the class (the logit for the sigmoid link, the margin
log(p / (1 - p)) for softmax) and y its truth. Shapes, masks, weights, denominators and the shape of
the result are those of the engine, because they come from the same `prepare`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.engine import in_shape_of
from taylored.core.leaves import nll
from taylored.core.plan import Plan, along_classes, computing_dtype
from taylored.core.prepare import Options, prepare
from taylored.core.softmax import margins_of
from taylored.core.targets import one_hot

Values = Callable[[Tensor, Tensor], Tensor]
"""(log odds, truth), both (N, C) or (N, C, S) -> one loss per element."""


@dataclass(frozen=True, eq=False)
class Elements:
    """What a loss of its own works on, (N, C) or (N, C, S), in the computing dtype.

    Attributes:
        x: log odds of every class; 0 where ignored, so that nothing flows back from there.
        y: truth of every class in [0, 1], as given: not smoothed; 0 where ignored.
        kept: False where ignored, shaped to broadcast; None if nothing can be.
        plan: rows (mask, sample weights and denominator in one) and class weights.
    """

    x: Tensor
    y: Tensor
    kept: Tensor | None
    plan: Plan


def elements(input: Tensor, target: Tensor, options: Options) -> Elements:
    """Canonical log odds and truth."""
    logits, plan = prepare(input, target, nll, options)
    dtype = computing_dtype(logits)
    kept = _kept(target, plan, options)
    x, y = logits.to(dtype), _dense(logits, plan).to(dtype)
    if kept is not None:
        x, y = torch.where(kept, x, 0.0), torch.where(kept, y, 0.0)
    return Elements(margins_of(x) if options.link == "softmax" else x, y, kept, plan)


def reduced(input: Tensor, found: Elements, losses: Tensor) -> Tensor:
    """The losses of the elements, weighted and reduced as the plan says, in the caller's shape."""
    plan = found.plan
    if plan.positive is not None:
        losses = losses * along_classes(plan.positive, losses)
    rows = plan.rows
    if found.kept is not None:  # a no-op where the rows have the mask in them already
        rows = torch.where(found.kept, rows, 0.0)
    if plan.link == "softmax":
        losses = (losses.sum(dim=1, keepdim=True) * rows).squeeze(1)
    else:
        losses = losses * rows
    return in_shape_of(input, losses if plan.output == "each" else losses.sum(), plan)


def element_loss(input: Tensor, target: Tensor, values: Values, options: Options) -> Tensor:
    """One loss per element; for the softmax link their sum over the classes of a position.

    `weight` multiplies the elements of a class. `alpha`, `pos_weight` and `label_smoothing` have no
    meaning that holds for every such loss: one that has them applies them itself, in `values`.
    """
    found = elements(input, target, options)
    return reduced(input, found, values(found.x, found.y))


def _kept(target: Tensor, plan: Plan, options: Options) -> Tensor | None:
    """Where nothing is ignored, by position or by element."""
    if plan.target_kind == "index":
        if options.ignore_index is None:
            return None
        # Widened first: as a byte, -100 would be 156.
        kept = target.long() != options.ignore_index
        return kept.reshape(plan.target.shape).unsqueeze(1)
    if plan.ignore is None or plan.target.dtype == torch.bool:
        return None
    return plan.target != plan.ignore


def _dense(logits: Tensor, plan: Plan) -> Tensor:
    """The truth of every class; an index outside the columns is the truth of none."""
    if plan.target_kind == "dense":
        return plan.target
    return one_hot(plan.target, logits)
