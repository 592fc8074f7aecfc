"""Which values of an unreduced loss count at all, for what reduces them by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.engine.sharded.sharded_pass import planned
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.sharded_logits import ShardedLogits
from taylored.core.plan.options import Options
from taylored.core.plan.plan import along_classes
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll


def share_of_each(input: Logits, target: Tensor, options: Options, values: Tensor) -> Tensor:
    """Mask times sample weight of every unreduced value, in its shape.

    0 for what is ignored, and for a class without weight.
    """
    each = options._replace(reduction="none", normalizer=None)
    if isinstance(input, ShardedLogits):
        return planned(input, target, nll, each).rows.reshape(values.shape)
    logits, plan = prepare(outline(input), target, nll, each)
    rows = plan.rows
    if plan.link == "sigmoid":
        rows = rows.expand(logits.shape)
        if plan.ignore is not None and plan.target_kind == "dense":
            rows = torch.where(plan.target == plan.ignore, 0.0, rows)
        if plan.positive is not None:
            rows = torch.where(along_classes(plan.positive, logits) == 0, 0.0, rows)
        if values.numel() != logits.numel():  # one value for all classes of a position
            rows = rows.amax(dim=1)
    return rows.reshape(values.shape)
