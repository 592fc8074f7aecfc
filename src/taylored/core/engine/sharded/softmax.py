"""The softmax link where every process has some of the classes.

The formulas are those of `core/links/softmax.py`; whatever is a maximum or a sum over the classes
is one over the group, too. With a single true class that are two collectives: the largest of the
other logits, and then two numbers in one, their sum of exponentials and the true logit, which all
but its owner leave at zero. Value and slope are found from these by every process alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.engine.sharded.distribution import of_distribution
from taylored.core.engine.sharded.part import Part, adjusted, put, taken
from taylored.core.inputs.columns import placed
from taylored.core.links import softmax
from taylored.core.links.class_sums import RunningSums
from taylored.core.numerics import harmless
from taylored.core.terms import fast_point
from taylored.core.terms.point import continued, inside


def swept(part: Part, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    """Loss of each position, and the gradient of their sum on the logits of this process."""
    z = adjusted(part)
    find = _single if softmax.single_truth(part.plan) else of_distribution
    values, gradient = find(part, z, sums)
    if part.plan.scale is not None:
        gradient = gradient.mul_(part.per_class(part.plan.scale))
    return values, gradient if part.plan.temperature == 1.0 else gradient / part.plan.temperature


def _single(part: Part, z: Tensor, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    block, plan = part.block, part.plan
    here, hot = placed(block.target.unsqueeze(1), part.columns)
    own, others = _separated(z, hot, here)
    peak = part.peak(others)
    above = torch.where(here, torch.where(own == torch.inf, torch.nan, own - peak), 0.0)
    given = harmless(taken(block.logits, hot, here), block.rows == 0)
    if block.margin is not None:
        added = block.margin.added(given)
        above = torch.where(here, above + added / plan.temperature, 0.0)
    sizes = others.sub_(peak).exp_()
    total, above = part.total(sizes.sum(dim=1, keepdim=True), above)
    margin = above - torch.log(total)
    at = fast_point.fixed(inside(margin))
    values, slopes = softmax.bound_to_target(block, plan).evaluate_with_slope(at)
    values = (continued(values, margin, block.rows) * block.rows).squeeze(1)
    slopes = slopes * block.rows
    gradient = sizes.mul_(slopes / total)
    pulls = slopes
    if block.margin is not None:
        pulls = slopes * (1.0 + block.margin.growth(given))
    if sums is not None and part.columns.count:
        sums.add_rivals(gradient, torch.where(here, pulls, 0.0), hot)
    return values, put(gradient, hot, here, -pulls)


def _separated(z: Tensor, hot: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
    """The true logit where it is here, and the logits with it replaced by the lowest number."""
    own = taken(z, hot, here)
    return own, put(z, hot, here, torch.full_like(own, torch.finfo(z.dtype).min))
