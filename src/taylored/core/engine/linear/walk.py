"""The walk over features and weight: by rows of logits, or by tiles of rows and classes."""

from __future__ import annotations

from taylored.core.checks import fail
from taylored.core.engine.linear import row_chunks, tile_walk
from taylored.core.engine.linear.evaluator import Evaluator
from taylored.core.engine.linear.head import Head, Walked, Wanted
from taylored.core.plan.plan import Plan


def walk(head: Head, plan: Plan, wanted: Wanted, evaluator: Evaluator) -> Walked:
    """Loss and gradients of a head, within its memory."""
    if tile_walk.serves(head, plan, wanted, evaluator):
        return tile_walk.walk(head, plan, wanted)
    row = len(head.weight) * head.dtype.itemsize
    if head.memory is not None and head.memory < row:
        fail("memory", f"{row} bytes or more for this loss, which needs all classes of a position",
             head.memory, "memory=None chooses")  # fmt: skip
    return row_chunks.walk(head, plan, wanted, evaluator)
