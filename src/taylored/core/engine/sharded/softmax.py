"""The softmax link where every process has some of the classes.

The formulas are those of `core/links/softmax.py`; whatever is a maximum or a sum over the classes
is one over the group, too. With a single true class that are two collectives: the largest of the
other logits, and then two numbers in one, their sum of exponentials and the true logit, which all
but its owner leave at zero. Value and slope are found from these by every process alike.

For a distribution the largest class has to be split off, which one process owns: that takes its
logit first, and at last the sums over the classes of what the terms say. Where several processes
have the same largest logit, none is split off: then no class has more than half of the probability,
and log(1 - p) is exact for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.inputs.columns import Columns, placed
from taylored.core.links import softmax
from taylored.core.links.class_sums import RunningSums
from taylored.core.numerics import computing_dtype, harmless, smoothed
from taylored.core.plan.plan import Block, Plan, along_classes
from taylored.core.state.distributed import largest, summed
from taylored.core.terms import fast_point
from taylored.core.terms.point import continued, inside
from taylored.core.terms.term import Term


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
        """Numbers of each position, (N, 1[, S]), added up over the group in one collective."""
        return tuple(summed(torch.cat(numbers, dim=1), self.columns.group).chunk(len(numbers), 1))

    def peak(self, values: Tensor) -> Tensor:
        """The largest of each position over the classes of the group."""
        if values.shape[1]:
            here = values.amax(dim=1, keepdim=True)
        else:
            here = values.new_full((values.shape[0], 1, *values.shape[2:]), -torch.inf)
        return largest(here, self.columns.group)


def swept(part: Part, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    """Loss of each position, and the gradient of their sum on the logits of this process."""
    z = adjusted(part)
    find = _single if softmax.single_truth(part.plan) else _distribution
    values, gradient = find(part, z, sums)
    if part.plan.scale is not None:
        gradient = gradient.mul_(part.per_class(part.plan.scale))
    return values, gradient if part.plan.temperature == 1.0 else gradient / part.plan.temperature


def adjusted(part: Part) -> Tensor:
    """The logits of this process after scale, bias and temperature, in memory of their own.

    As `adjusted` of `core/plan/plan.py`: what is common to all classes is taken off first.
    """
    block, plan = part.block, part.plan
    z = harmless(block.logits.to(computing_dtype(block.logits)), block.rows == 0)
    if plan.scale is not None:
        scale, most, top = part.per_class(plan.scale), plan.scale.detach().amax(), part.peak(z)
        z = (z - top) * scale + (scale - most.to(scale)) * top
    if plan.bias is not None or plan.temperature != 1.0:
        z = z - part.peak(z)
    if plan.bias is not None:
        z = z + part.per_class(plan.bias)
    return z if plan.temperature == 1.0 else z / plan.temperature


def _single(part: Part, z: Tensor, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    block, plan = part.block, part.plan
    here, hot = placed(block.target.unsqueeze(1), part.columns)
    own, others = _separated(z, hot, here)
    peak = part.peak(others)
    above = torch.where(here, torch.where(own == torch.inf, torch.nan, own - peak), 0.0)
    true = None
    if block.margin is not None:
        true = Block(_taken(block.logits, hot, here), block.target, block.rows, block.margin)
        added = block.margin.added(harmless(true.logits, block.rows == 0))
        above = torch.where(here, above + added / plan.temperature, 0.0)
    sizes = others.sub_(peak).exp_()
    total, above = part.total(sizes.sum(dim=1, keepdim=True), above)
    margin = above - torch.log(total)
    at = fast_point.fixed(inside(margin))
    values, slopes = softmax.bound_to_target(block, plan).evaluate_with_slope(at)
    values = (continued(values, margin, block.rows) * block.rows).squeeze(1)
    slopes = slopes * block.rows
    gradient = sizes.div_(total).mul_(slopes)
    pulls = slopes
    if true is not None and block.margin is not None:
        growth = block.margin.growth(harmless(true.logits, block.rows == 0))
        pulls = slopes * (1.0 + growth)
    if sums is not None and part.columns.count:
        sums.add_rivals(gradient, torch.where(here, pulls, 0.0), hot)
    return values, _put(gradient, hot, here, -pulls)


def _distribution(part: Part, z: Tensor, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    spot, own, mine = _largest_here(z)
    top = largest(own.clone(), part.columns.group)
    mine = mine & (own == top)
    others = _put(z, spot, mine, torch.full_like(own, torch.finfo(z.dtype).min))
    peak = part.peak(others)
    rest, tops = part.total(torch.exp(others - peak).sum(dim=1, keepdim=True), mine.to(z.dtype))
    alone = tops == 1.0
    top_margin = torch.where(top == torch.inf, torch.nan, (top - peak) - torch.log(rest))
    q_top = torch.where(alone, torch.sigmoid(-top_margin), 1.0)
    # Where the largest is split off, shares are those of the others; elsewhere, those of all.
    most, whole = torch.where(alone, peak, top), tops + rest * torch.exp(peak - top)
    log_sum = torch.log(torch.where(alone, rest, whole))
    others = _put(others, spot, mine & ~alone, own).sub_(most)
    split = mine & alone
    log_p = others + (torch.where(alone, F.logsigmoid(-top_margin), 0.0) - log_sum)
    margins = _put(log_p - torch.log1p(-torch.exp(log_p)), spot, split, top_margin)
    at = fast_point.fixed(inside(margins))
    values, slopes = _bound_to_axis(part).evaluate_with_slope(at)
    truth = truth_of(part, z)
    mass = truth * part.block.rows
    if part.plan.positive is not None:
        mass = mass * part.per_class(part.plan.positive)
    losses = (mass * continued(values, margins, mass)).sum(dim=1, keepdim=True)
    pulls = mass * slopes
    top_pull = _taken(pulls, spot, split)
    gains = _put(pulls / at.q, spot, split, torch.zeros_like(own))
    losses, total, top_pull = part.total(losses, gains.sum(dim=1, keepdim=True), top_pull)
    shares = others.sub_(log_sum).exp_()
    gradient = shares.mul_(q_top * (total - gains) + top_pull).sub_(pulls)
    gradient = _put(gradient, spot, split, torch.sigmoid(top_margin) * total - top_pull)
    if sums is not None and part.columns.count:
        sums.add_split(gradient, truth)
    return losses.squeeze(1), gradient


def truth_of(part: Part, z: Tensor) -> Tensor:
    """Target mass of every class of this process, after label smoothing."""
    target = part.block.target
    if part.plan.target_kind == "index":
        here = torch.arange(z.shape[1], device=z.device) + part.columns.start
        target = here.reshape(-1, *[1] * (z.dim() - 2)) == target.unsqueeze(1)
    return smoothed(target.to(z.dtype), part.plan.smoothing, part.columns.total)


def part_of(logits: Tensor, plan: Plan, columns: Columns) -> Part:
    """All positions, with the logits of this process."""
    return Part(Block(logits, plan.target, plan.rows, plan.margin), plan, columns)


def _bound_to_axis(part: Part) -> Term:
    """The term with per-class parameters along the class axis."""
    return part.plan.term.bind(part.per_class)


def _largest_here(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column and logit of the largest class of this process, and whether there is any class."""
    if not z.shape[1]:
        shape = (z.shape[0], 1, *z.shape[2:])
        spot = torch.zeros(shape, dtype=torch.int64, device=z.device)
        return spot, z.new_full(shape, -torch.inf), spot != 0
    spot = z.argmax(dim=1, keepdim=True)
    return spot, z.gather(1, spot), torch.ones_like(spot, dtype=torch.bool)


def _separated(z: Tensor, hot: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
    """The true logit where it is here, and the logits with it replaced by the lowest number."""
    own = _taken(z, hot, here)
    return own, _put(z, hot, here, torch.full_like(own, torch.finfo(z.dtype).min))


def _taken(values: Tensor, hot: Tensor, here: Tensor) -> Tensor:
    """One value of each position in the dtype to compute in, 0 where it is elsewhere."""
    if not values.shape[1]:
        return torch.zeros(hot.shape, dtype=computing_dtype(values), device=values.device)
    return torch.where(here, values.gather(1, hot).to(computing_dtype(values)), 0.0)


def _put(values: Tensor, hot: Tensor, here: Tensor, new: Tensor) -> Tensor:
    """The values with one of each position replaced where it is here; they are overwritten."""
    if not values.shape[1]:
        return values
    return values.scatter_(1, hot, torch.where(here, new, values.gather(1, hot)))
