"""Which classes a process has, of those that a group of processes has together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.state.distributed import ranks_of, this_rank, world_size


@dataclass(frozen=True)
class Columns:
    """Which classes a process has.

    Attributes:
        start: the first of them.
        count: how many; none is possible.
        total: how many there are in the whole group.
        group: the processes that have the others; None is all processes.
    """

    start: int
    count: int
    total: int
    group: Any

    def of(self, values: Tensor, axis: int = 0) -> Tensor:
        """The part of this process of one number per class; a single number stands for all."""
        if values.dim() == 0 or values.shape[axis] != self.total:
            return values
        return values.narrow(axis, self.start, self.count)


def placed(index: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """Whether classes are among those here, and which column they are; 0 where they are not."""
    place = index - columns.start
    inside = (place >= 0) & (place < columns.count)
    return inside, torch.where(inside, place, 0)


def agreed(start: int | None, count: int, group: Any, device: torch.device) -> tuple[int, int]:
    """Where this process begins, and how many classes there are, by asking all others."""
    mine = torch.tensor([-1 if start is None else start, count], device=device)
    size = world_size(group, "group")
    table = [torch.empty_like(mine) for _ in range(size)]
    if size > 1:
        dist.all_gather(table, mine, group=group)
    else:
        table = [mine]
    told = [(int(first), int(length)) for first, length in torch.stack(table).tolist()]
    before = [sum(length for _, length in told[:rank]) for rank in range(size)]
    total = sum(length for _, length in told)
    begins = [here if first < 0 else first for (first, _), here in zip(told, before, strict=True)]
    filled = sorted((a, a + c) for a, (_, c) in zip(begins, told, strict=True) if c)
    ends = [0, *(end for _, end in filled)]
    if any(a != end for (a, _), end in zip(filled, ends, strict=False)):
        shards = ", ".join(f"{a}..{end}" for a, end in filled)
        fix = "count the classes of the processes before, or leave it out"
        expected = "the place of each process, so that together they have every class once"
        fail("start", expected, f"classes {shards}", fix)
    own = begins[ranks_of(group).index(this_rank())]
    return own, total
