"""Which values of an unreduced loss count at all, for what reduces them by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from taylored.core.engine.sharded.sharded_pass import planned
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.sharded_logits import ShardedLogits
from taylored.core.plan.options import Options
from taylored.core.plan.plan import along_classes
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll


def share_of_each(input: Logits, target: Tensor, options: Options) -> Callable[[Tensor], Tensor]:
    """Mask times sample weight, for unreduced values that are given later, in their shape.

    0 for what is ignored, and for a class without weight. It is asked before the values are found,
    because donated logits are gone afterwards.
    """
    each = options._replace(reduction="none", normalizer=None)
    if isinstance(input, ShardedLogits):
        rows = planned(input, target, nll, each).rows
    else:
        rows = _rows(input, target, each)

    def in_shape_of(values: Tensor) -> Tensor:
        one = values.numel() != rows.numel()  # one value for all classes of a position
        return (rows.amax(dim=1) if one else rows).reshape(values.shape)

    return in_shape_of


def _rows(input: Logits, target: Tensor, options: Options) -> Tensor:
    logits, plan = prepare(outline(input), target, nll, options)
    rows = plan.rows
    if plan.link == "sigmoid":
        rows = rows.expand(logits.shape)
        if plan.ignore is not None and plan.target_kind == "dense":
            rows = torch.where(plan.target == plan.ignore, 0.0, rows)
        if plan.positive is not None:
            rows = torch.where(along_classes(plan.positive, logits) == 0, 0.0, rows)
    return rows
