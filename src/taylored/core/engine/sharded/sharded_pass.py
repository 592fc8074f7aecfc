"""The single pass over the logits of one process: forward sends, backward scales what it found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from taylored.core.checks import fail, seen
from taylored.core.context import compiling
from taylored.core.engine import tensor_pass
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.gradient_tap import active_tap
from taylored.core.engine.sharded import softmax
from taylored.core.engine.sharded.part import part_of
from taylored.core.inputs.columns import Columns
from taylored.core.inputs.sharded_logits import ShardedLogits, whole
from taylored.core.inputs.targets import check_probabilities
from taylored.core.links.class_sums import RunningSums
from taylored.core.plan.canonical import canonical, in_shape_of
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan, sums_by_logits
from taylored.core.plan.prepare import prepare
from taylored.core.state.distributed import ranks_of, summed, this_rank, world_size
from taylored.core.state.gradient_indicator import GradientSums
from taylored.core.terms.term import Term


def loss_of_shards(input: ShardedLogits, target: Tensor, term: Term, options: Options) -> Tensor:
    """The loss of logits whose classes are split over processes, the same on each."""
    _check_here(options)
    indicator = options.indicator
    counting = indicator is not None and indicator.collecting()
    if indicator is not None and counting:
        indicator.refuse_side_effects()
    local = canonical(input.here())
    plan = planned(input, whole(target), term, options)
    if tensor_pass.needs_composition(local, plan):
        fail("input", "all logits inside torch.func and forward mode, and where an option wants a"
             " gradient", repr(input), input.REMEDY)  # fmt: skip
    with torch.autocast(local.device.type, enabled=False):
        loss, sums = _Sharded.apply(local, plan, input.columns, counting)
    if indicator is not None and counting:
        here = sums[:, : sums.shape[1] - options.uncounted]
        counted = GradientSums.undivided(here, plan.denominator)
        indicator.update(counted_once(counted, input.columns, indicator.process_group))
    return in_shape_of(input, loss, plan)


def _check_here(options: Options) -> None:
    if compiling():
        fail("input", "all logits inside torch.compile", "ShardedLogits",
             "call the loss outside of it: torch.compiler.disable(loss)")  # fmt: skip
    if options.link != "softmax":
        fail("input", "a tensor with the sigmoid link, whose classes need nothing of each other",
             "ShardedLogits", 'call the loss on each part, with reduction="sum"')  # fmt: skip
    if active_tap() is not None:
        fail("input", "all logits where a GradientRatio watches", "ShardedLogits",
             "pass input.logits() to the monitor")  # fmt: skip


def planned(input: ShardedLogits, target: Tensor, term: Term, options: Options) -> Plan:
    """The plan of all classes; a target with one number per class is that of the classes here."""
    shape, here = input.shape, input.here().shape
    dense = isinstance(target, Tensor) and target.is_floating_point()
    if not dense or target.shape not in (shape, here):
        return prepare(input.outline(), target, term, options)[1]
    columns = input.columns
    mine = target if target.shape == here else columns.of(target, 1)
    # Only the mask of the target takes part in the plan: stand-ins that need no memory bring it.
    stand_in = torch.full((), 1.0 / shape[1], dtype=mine.dtype, device=mine.device)
    stand_in = stand_in.expand(shape[:1] + shape[2:])
    if options.ignore_index is not None:
        stand_in = _mask_of(mine, stand_in, options.ignore_index, columns)
    plan = prepare(input.outline(), stand_in.unsqueeze(1).expand(shape), term, options)[1]
    mine = canonical(mine)
    check_probabilities(mine, options.ignore_index, axis=None)
    return replace(plan, target=torch.where(plan.rows == 0, 0.0, mine))


def _mask_of(mine: Tensor, stand_in: Tensor, ignored: int, columns: Columns) -> Tensor:
    """The stand-ins, with the ignored value where every class of every process holds it."""
    held = mine.detach() == ignored
    count = summed(held.sum(dim=1).to(torch.float64), columns.group)
    everywhere = count == columns.total
    if ignored not in (0, 1):  # which are probabilities too
        mixed = (count > 0) & ~everywhere
        if seen(count) and mixed.any():
            fail("target", f"ignore_index={ignored} in every class of a position, or in none",
                 "a position where some classes hold it",
                 "target.masked_fill(ignored.unsqueeze(1), ignore_index)")  # fmt: skip
        stand_in = torch.where(mixed, torch.nan, stand_in)
    return torch.where(everywhere, float(ignored), stand_in)


def counted_once(sums: GradientSums, columns: Columns, sharing: Any) -> GradientSums:
    """Sums of the classes here, so that the sum over the processes that share a state is right.

    These are either all processes that share the classes, each of which brings its own, or one of
    them for every part of the batch: then it has to know those of the others.
    """
    if world_size(columns.group) == 1:
        return sums
    ranks = ranks_of(columns.group)
    both = set(ranks) & set(ranks_of(sharing))
    if len(both) == len(ranks):
        denominator = sums.denominator
        if denominator is not None and this_rank() != ranks[0]:
            denominator = torch.zeros_like(denominator)
        return replace(sums, denominator=denominator)
    if len(both) > 1:
        fail("process_group", "either all processes that share the classes, or one of them",
             f"{len(both)} of {len(ranks)}", 'use mesh["data"], or None for all')  # fmt: skip
    pair = summed(torch.stack([sums.positive, sums.negative]), columns.group)
    return replace(sums, positive=pair[0], negative=pair[1])


def replicas(input: Any, sharing: Any) -> int:
    """How many of the processes that share a state have the same positions as this one."""
    if not isinstance(input, ShardedLogits) or world_size(input.group) == 1:
        return 1
    return len(set(ranks_of(input.group)) & set(ranks_of(sharing)))


class _Sharded(torch.autograd.Function):
    """(logits of this process, plan, its columns, whether to count) -> loss, (2, C) sums."""

    @staticmethod
    def forward(
        ctx: Any, local: Tensor, plan: Plan, columns: Columns, counting: bool
    ) -> tuple[Tensor, Tensor]:
        sums = RunningSums.of(local) if counting else None
        part = part_of(local.detach(), plan, columns)
        values, gradient = softmax.swept(part, sums)
        if ctx.needs_input_grad[0]:
            dtype = torch.float32 if local.dtype == torch.float16 else local.dtype
            keep(ctx, gradient.to(dtype))
        ctx.dtype = local.dtype
        everywhere = _of_all_classes(sums, plan, columns)
        ctx.mark_non_differentiable(everywhere)
        return values if plan.output == "each" else values.sum(), everywhere

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        grad_loss = gradients[0]
        if grad_loss is None:
            return None, None, None, None
        if torch.is_grad_enabled():
            fail("input", "all logits for second derivatives (create_graph)", "ShardedLogits",
                 ShardedLogits.REMEDY)  # fmt: skip
        return scaled_gradient(ctx, grad_loss, ctx.dtype), None, None, None


def _of_all_classes(sums: RunningSums | None, plan: Plan, columns: Columns) -> Tensor:
    """The sums of the classes here by the logits, among zeros for all others, (2, C)."""
    if sums is None:
        return plan.rows.new_zeros(2, 0)
    stacked = sums.stacked()
    if plan.scale is not None:
        plan = replace(plan, scale=columns.of(plan.scale.reshape(-1)))
    everywhere = stacked.new_zeros(2, columns.total)
    columns.of(everywhere, 1).copy_(sums_by_logits(stacked, plan))
    return everywhere
