"""The softmax link for one block on the CPU, in few torch operations, most of them in place.

The exponentials e^z are taken of the logits as they are, and are not divided by their sum. With
that of the truth set to 0, they are proportional to the shares of the other classes, and their sum
is proportional to q and has all its digits. This needs exponentials well inside the float range.
Where they are not, the largest logit of each position is subtracted first. Where that does not help
either, `core/links/softmax.py` takes the block, which is right everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taylored.core.links import softmax
from taylored.core.links.class_sums import RunningSums
from taylored.core.links.exponentials import (
    BITS_PER_NAT,
    bits_of,
    offsets,
    well_inside_range,
)
from taylored.core.links.scratch import Scratch
from taylored.core.numerics import computing_dtype, smoothing_parts
from taylored.core.plan.plan import Block, Plan, along_classes
from taylored.core.terms import fast_point
from taylored.core.terms.fast_point import fast_log1p


def sweep(
    block: Block, plan: Plan, sums: RunningSums | None, into: Tensor, scratch: Scratch
) -> Tensor:
    """Loss of each position; the gradient of their sum goes into `into`.

    `into` may be the memory of the logits, which are not read any more once it is written.
    """
    find = _single if softmax.single_truth(plan) else _distribution
    values = find(block, plan, sums, into, scratch)
    if values is None:
        values, gradient = softmax.value_and_gradient(block, plan, sums)
        into.copy_(gradient)
    return values


def _single(
    block: Block, plan: Plan, sums: RunningSums | None, into: Tensor, scratch: Scratch
) -> Tensor | None:
    hot = block.target.unsqueeze(1)
    found = _rivals(block, plan, hot, scratch)
    if found is None:
        return None
    shares, own, rest = found
    if block.margin is None:
        at = fast_point.of_odds(rest / own)
    else:
        moved = block.margin.added(softmax.true_logit(block, hot)) / plan.temperature
        at = fast_point.fixed(moved + (torch.log(own) - torch.log(rest)))
    values, slopes = softmax.bound_to_target(block, plan).evaluate_with_slope(at)
    pulls = slopes * block.rows
    ratio = pulls / rest
    # The logits are read before `into` is written, which may be their memory.
    pulls = softmax.on_truth(block, hot, pulls)
    if sums is not None:
        sums.add_shares(shares, ratio, pulls, hot)
    # Divided before it is rounded to half precision, and once per position.
    if plan.scale is not None:
        scale = along_classes(plan.scale, block.logits)
        shares, pulls = shares.mul_(scale), pulls * scale.reshape(-1)[hot]
    torch.mul(shares, ratio.div_(plan.temperature), out=into)
    into.scatter_(1, hot, pulls.div(-plan.temperature).to(into.dtype))
    return (values * block.rows).squeeze(1)


def _distribution(
    block: Block, plan: Plan, sums: RunningSums | None, into: Tensor, scratch: Scratch
) -> Tensor | None:
    found = _parts(block, plan, scratch)
    if found is None:
        return None
    bits, shares, chosen, own, rest, total = found
    own_p, own_q = own / total, rest / total
    p = shares.mul_(torch.reciprocal(total)).scatter_(1, chosen, own_p)
    q = torch.sub(1.0, p, out=scratch.take("large", p, p.dtype)).scatter_(1, chosen, own_q)
    nll = bits.sub_(torch.log2(total)).mul_(-1.0 / BITS_PER_NAT)
    own_nll = torch.where(own > rest, fast_log1p(rest / own), nll.gather(1, chosen))
    at = fast_point.of_parts(p, q, nll.scatter_(1, chosen, own_nll))
    values, slopes = softmax.bound_to_axis(block, plan).evaluate_with_slope(at)
    mass = _negative_mass(block, plan, scratch)
    losses = torch.mul(mass, values).sum(dim=1).neg_()
    gains = mass.mul_(slopes).div_(q)
    own_gain = gains.gather(1, chosen)
    others = gains.scatter_(1, chosen, 0.0).sum(dim=1, keepdim=True).neg_()
    own_gradient = own_p * others + own_q * own_gain
    # Sums and division have to see the gradient before it is rounded to half precision.
    further = sums is not None or plan.temperature != 1.0 or plan.scale is not None
    gradient = gains if further and into.dtype != gains.dtype else into
    torch.addcmul(gains, p, others - own_gain, out=gradient)
    gradient.scatter_(1, chosen, own_gradient.to(gradient.dtype))
    if sums is not None:
        sums.add_split(gradient, softmax.truth_of(block, plan, p))
    if plan.scale is not None:
        gradient.mul_(along_classes(plan.scale, block.logits))
    if plan.temperature != 1.0:
        gradient.div_(plan.temperature)
    if gradient is not into:
        into.copy_(gradient)
    return losses


def _rivals(
    block: Block, plan: Plan, hot: Tensor, scratch: Scratch
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Exponentials, with 0 for the truth; that of the truth; the sum of the others. Or None."""
    for offset in offsets(block):
        shares = bits_of(block, plan, scratch, offset).exp2_()
        own = shares.gather(1, hot)
        rest = shares.scatter_(1, hot, 0.0).sum(dim=1, keepdim=True)
        if well_inside_range(own, rest):
            return shares, own, rest
    return None


def _parts(
    block: Block, plan: Plan, scratch: Scratch
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor] | None:
    """What `_distribution` needs of the logits, or None.

    In order: the logits in bits; their exponentials, with 0 for the chosen class; the chosen class;
    its exponential; the sum of the others; the sum of all.

    The chosen class is the one with p > 1/2, or any class where there is none. For every other
    class 1 - p is exact.
    """
    z = block.logits
    classes = torch.arange(z.shape[1], dtype=computing_dtype(z), device=z.device)
    for offset in offsets(block):
        bits = bits_of(block, plan, scratch, offset)
        shares = torch.exp2(bits, out=scratch.take("shares", bits, bits.dtype))
        half = shares.sum(dim=1, keepdim=True).mul_(0.5)
        large = torch.gt(shares, half, out=scratch.take("large", bits, bits.dtype))
        # A product with the numbers of the classes, because argmax takes ten times as long.
        chosen = torch.matmul(classes, large.movedim(1, -2)).long().unsqueeze(1)
        own = shares.gather(1, chosen)
        rest = shares.scatter_(1, chosen, 0.0).sum(dim=1, keepdim=True)
        total = own + rest
        if well_inside_range(rest, total):
            hidden = _hide_masked(block, plan, bits)
            return None if hidden is None else (hidden, shares, chosen, own, rest, total)
    return None


def _hide_masked(block: Block, plan: Plan, bits: Tensor) -> Tensor | None:
    """The bits, those of -inf made finite where the class has no mass. None where one has mass."""
    if float(bits.amin()) > -math.inf:
        return bits
    # A mass of 0 times infinity is NaN. The lowest finite logit times log2 e is -inf too.
    masked = bits == -math.inf
    if ((softmax.truth_of(block, plan, bits) != 0) & masked).any():
        return None
    return bits.masked_fill_(masked, torch.finfo(bits.dtype).min)


def _negative_mass(block: Block, plan: Plan, scratch: Scratch) -> Tensor:
    """Minus the weighted target mass of every class, times the coefficient of the position."""
    dtype = computing_dtype(block.logits)
    mass = scratch.take("mass", block.logits, dtype)
    rows = -block.rows
    kept, even = smoothing_parts(plan.smoothing, mass.shape[1])
    if plan.target_kind == "index":
        mass.copy_(rows * even).scatter_(1, block.target.unsqueeze(1), rows * (kept + even))
    else:
        torch.mul(block.target.to(dtype), rows * kept, out=mass)
        if plan.smoothing:
            mass.add_(rows * even)
    return mass if plan.positive is None else mass.mul_(along_classes(plan.positive, block.logits))
