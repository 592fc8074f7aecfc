"""What one process has of a batch whose classes are split over a group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.engine.blocked import Place
from taylored.core.inputs.columns import Columns
from taylored.core.numerics import computing_dtype, smoothed
from taylored.core.plan.plan import Block, Plan, along_classes
from taylored.core.state.distributed import largest, summed


@dataclass(frozen=True, eq=False)
class Part:
    """What one process has of the batch.

    Attributes:
        block: its logits, (N, c) or (N, c, S), and the positions, which every process has.
        plan: of all classes. A target that is one number per class has those of this process.
        columns: which classes are here.
    """

    block: Block
    plan: Plan
    columns: Columns

    def per_class(self, values: Tensor) -> Tensor:
        """One number per class of this process, to broadcast along the class axis."""
        return self.columns.of(along_classes(values, self.block.logits))

    def total(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Numbers of each position, (N, k[, S]), added up over the group in one collective."""
        return summed(torch.cat(numbers, dim=1), self.columns.group).split(1, dim=1)  # type: ignore[no-any-return]

    def at(self, place: Place) -> Part:
        """Some of the positions, of a distribution."""
        block, dense = self.block, self.plan.target_kind == "dense"
        target = block.target[place if dense else place[:1] + place[2:]]
        some = Block(block.logits[place], target, block.rows[place], None)
        return Part(some, self.plan, self.columns)

    def largest(self, here: Tensor) -> Tensor:
        """The largest over the group of one number per position, which is overwritten."""
        return largest(here, self.columns.group)

    def peak(self, values: Tensor) -> Tensor:
        """The largest of each position over the classes of the group."""
        if values.shape[1]:
            here = values.amax(dim=1, keepdim=True)
        else:
            here = values.new_full((values.shape[0], 1, *values.shape[2:]), -torch.inf)
        return self.largest(here)


def part_of(logits: Tensor, plan: Plan, columns: Columns) -> Part:
    """All positions, with the logits of this process."""
    return Part(Block(logits, plan.target, plan.rows, plan.margin), plan, columns)


def adjusted(part: Part) -> Tensor:
    """The logits of this process after scale, bias and temperature, in memory of their own.

    As `adjusted` of `core/plan/plan.py`: what is common to all classes is taken off first.
    """
    block, plan = part.block, part.plan
    # Nobody differentiates by the coefficients here: what counts for nothing may be any number.
    z = torch.where(block.rows == 0, 0.0, block.logits).to(computing_dtype(block.logits))
    if plan.scale is not None:
        scale, most, top = part.per_class(plan.scale), plan.scale.detach().amax(), part.peak(z)
        z = (z - top) * scale + (scale - most.to(scale)) * top
    if plan.bias is not None or plan.temperature != 1.0:
        z = z - part.peak(z)
    if plan.bias is not None:
        z = z + part.per_class(plan.bias)
    return z if plan.temperature == 1.0 else z / plan.temperature


def truth_of(part: Part, z: Tensor) -> Tensor:
    """Target mass of every class of this process, after label smoothing."""
    target = part.block.target
    if part.plan.target_kind == "index":
        here = torch.arange(z.shape[1], device=z.device) + part.columns.start
        target = here.reshape(-1, *[1] * (z.dim() - 2)) == target.unsqueeze(1)
    return smoothed(target.to(z.dtype), part.plan.smoothing, part.columns.total)


def taken(values: Tensor, hot: Tensor, here: Tensor) -> Tensor:
    """One value of each position in the dtype to compute in, 0 where it is elsewhere."""
    if not values.shape[1]:
        return torch.zeros(hot.shape, dtype=computing_dtype(values), device=values.device)
    return torch.where(here, values.gather(1, hot).to(computing_dtype(values)), 0.0)


def put(values: Tensor, hot: Tensor, here: Tensor, new: Tensor) -> Tensor:
    """The values with one of each position replaced where it is here; they are overwritten."""
    if not values.shape[1]:
        return values
    return values.scatter_(1, hot, torch.where(here, new, values.gather(1, hot)))
