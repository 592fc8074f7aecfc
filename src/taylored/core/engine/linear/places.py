"""Some positions at a time: which ones, their plan, and where their losses go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from taylored.core.context import has_numbers
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.plan import Plan
from taylored.core.plan.positions import Positions, rows_at, values_at


class Losses:
    """The losses of the chunks: one number for each, or the values of the positions."""

    def __init__(self, plan: Plan, logits: Tensor, chunks: int, count: int) -> None:
        self._plan, self._number = plan, 0
        size = chunks if plan.output == "sum" else count
        self._found = logits.new_zeros(size, dtype=computing_dtype(logits))

    def add(self, loss: Tensor, place: Positions) -> None:
        """Take what the plan asks for, of the next chunk."""
        self._found[self._number if self._plan.output == "sum" else place] = loss
        self._number += 1

    def found(self) -> Tensor:
        """That of all positions."""
        rows = self._plan.rows
        if self._plan.output == "sum":
            return self._found.sum()
        return self._found.reshape(rows.shape[:1] + rows.shape[2:])


def chunks(plan: Plan, count: int, most: int) -> Sequence[Positions]:
    """Chunks of at most `most` positions, about equally long.

    Positions without weight, such as padding, are left out where looking costs no device sync.
    """
    kept = None
    if _left_out(plan):
        kept = plan.rows.reshape(-1).nonzero().squeeze(1)
        count, kept = len(kept), None if len(kept) == count else kept
    if count == 0:
        return ()
    size = -(-count // -(-count // most))
    if kept is not None:
        return list(torch.split(kept, size))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def counted_rows(x: Tensor, plan: Plan, cut: Plan) -> Tensor:
    """Features of some positions, with zeros for what is not finite where nothing counts.

    A gradient of 0 times NaN would be NaN in the gradient of the weight.
    """
    return x if _left_out(plan) else harmless(x, (cut.rows == 0).all(dim=1, keepdim=True))


def _left_out(plan: Plan) -> bool:
    """Whether `chunks` leaves out the positions without weight."""
    return plan.rows.is_cpu and plan.rows.shape[1] == 1 and has_numbers(plan.rows)


def length(place: Positions) -> int:
    """How many positions."""
    return len(place) if isinstance(place, Tensor) else place.stop - place.start


def at(plan: Plan, place: Positions) -> Plan:
    """The plan of some positions, for their logits as (n, C)."""
    pick = values_at if plan.target_kind == "index" else rows_at
    margin = plan.margin
    if margin is not None:
        margin = margin.at(lambda values: rows_at(values, place))
    rows = rows_at(plan.rows, place)
    return replace(plan, target=pick(plan.target, place), rows=rows, margin=margin)
