"""The sigmoid link for one block on the CPU, in few torch operations, most of them in place.

For hard targets everything follows from the odds against the truth, e^-x of the signed logit x.
`core/links/sigmoid.py` takes the other blocks: soft targets, a term of its own for "no", and odds
near the ends of the float range.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from taylored.core.inputs.targets import check_truths
from taylored.core.links import sigmoid
from taylored.core.links.class_sums import RunningSums
from taylored.core.links.exponentials import bits_of, well_inside_range
from taylored.core.links.scratch import Scratch
from taylored.core.numerics import computing_dtype
from taylored.core.plan.plan import Block, Plan, along_classes
from taylored.core.terms import fast_point


def sweep(
    block: Block, plan: Plan, sums: RunningSums | None, into: Tensor, scratch: Scratch
) -> Tensor:
    """Loss of each element; the gradient of their sum goes into `into`.

    `into` may be the memory of the logits, which are not read any more once it is written.
    """
    truth = _hard_truth(block, plan, scratch)
    if truth is None and plan.target_kind == "dense":
        check_truths(block.target, plan.ignore, block.rows)
    values = None if truth is None else _hard(block, plan, truth, sums, into, scratch)
    if values is None:
        if truth is not None and plan.target_kind == "dense":
            block = replace(block, target=truth > 0)  # bool says that it is hard: half the work
        values, gradient = sigmoid.value_and_gradient(block, plan, sums)
        into.copy_(gradient)
    elif plan.temperature != 1.0:
        into.div_(plan.temperature)
    return values


def _hard(
    block: Block,
    plan: Plan,
    truth: Tensor,
    sums: RunningSums | None,
    into: Tensor,
    scratch: Scratch,
) -> Tensor | None:
    one = torch.ones((), dtype=truth.dtype, device=truth.device)
    sign = torch.sub(one, truth, alpha=2.0, out=scratch.take("sign", truth, truth.dtype))
    odds = bits_of(block, plan, scratch).mul_(sign).exp2_()
    if not well_inside_range(odds):
        return None
    term, _ = sigmoid.bound(block, plan)
    values, slopes = term.evaluate_with_slope(fast_point.of_odds(odds))
    coefficient = _coefficient(block, plan, truth, scratch)
    losses = torch.mul(values, coefficient, out=scratch.take("losses", truth, truth.dtype))
    if sums is None:
        torch.mul(slopes, sign.mul_(coefficient), out=into)
        return losses
    pulls = slopes * coefficient
    torch.mul(pulls, sign, out=into)
    if plan.target_kind == "index":
        sums.add_single(pulls, block.target)
    else:
        sums.add_split(pulls, truth)
    return losses


def _hard_truth(block: Block, plan: Plan, scratch: Scratch) -> Tensor | None:
    """The truth as zeros and ones; None where it is anything else."""
    if plan.smoothing or plan.rejection is not None:
        return None
    truth = scratch.take("truth", block.logits, computing_dtype(block.logits))
    if plan.target_kind == "index":
        last = block.logits.shape[1] - 1
        hot = block.target.clamp(0, last)
        inside = (hot == block.target).to(truth.dtype)
        return truth.zero_().scatter_(1, hot.unsqueeze(1), inside.unsqueeze(1))
    if block.target.dtype == torch.bool:
        return truth.copy_(block.target)
    # Ignored elements have a third value. If that is 0 or 1, they cannot be told from the truth.
    if plan.ignore in (0, 1):
        return None
    target = block.target
    if target.dtype != truth.dtype:
        target = truth.copy_(target)
    # y - y^2 is 0 for 0 and 1 only, and NaN for an infinite y.
    between = scratch.take("losses", truth, truth.dtype)
    low, high = torch.addcmul(target, target, target, value=-1.0, out=between).aminmax()
    return target if float(low) == float(high) == 0.0 else None


def _coefficient(block: Block, plan: Plan, truth: Tensor, scratch: Scratch) -> Tensor:
    """Coefficient of the outcome that is true."""
    rows = block.rows
    if plan.positive is None and plan.negative is None:
        return rows
    ones = truth.new_ones(truth.shape[1])
    no, yes = (
        along_classes(ones if weight is None else weight, block.logits).expand(_axis(block.logits))
        for weight in (plan.negative, plan.positive)
    )
    axes = zip(rows.stride(), rows.shape, strict=True)
    everywhere = all(step == 0 or size == 1 for step, size in axes)
    if everywhere:
        no, yes = no * rows.flatten()[0], yes * rows.flatten()[0]
    # `truth` is 0 or 1, where lerp returns exactly its ends.
    chosen = torch.lerp(no, yes, truth, out=scratch.take("weight", truth, truth.dtype))
    return chosen if everywhere else chosen.mul_(rows)


def _axis(logits: Tensor) -> tuple[int, ...]:
    return logits.shape[1:2] if logits.dim() == 2 else (logits.shape[1], 1)
