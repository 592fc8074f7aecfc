"""Canonical logits, (N, C) or (N, C, S), and the way back to the shape that the caller expects."""

from __future__ import annotations

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.plan import Plan


def canonical(values: Tensor) -> Tensor:
    """(N, C, d1, d2, ...) as (N, C, S); (N, C) and (N, C, S) as they are."""
    return values.flatten(2) if values.dim() > 3 else values


def in_shape_of(input: Logits, loss: Tensor, plan: Plan) -> Tensor:
    """The loss of canonical logits in the shape that belongs to the caller's input."""
    if plan.output == "sum":
        return loss
    if plan.link == "sigmoid":
        return loss.reshape(input.shape)
    return loss.reshape(input.shape[:1] + input.shape[2:] if input.dim() > 1 else ())
