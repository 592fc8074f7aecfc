"""The softmax link: one truth among C classes per position.

With a single true class t, the loss is a function of the margin x = z_t - logsumexp(the other
logits) alone, since p_t = sigmoid(x). Its gradient is -h on the true logit. The others share h
among themselves by the softmax *over the others*. Nowhere are nearly equal numbers subtracted,
which keeps focal-like terms exact at confident predictions. For a target distribution y this is
summed over the classes. Only the largest class can have q < 1/2, and so only the largest needs to
be split off.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.inputs.targets import one_hot
from taylored.core.links.class_sums import RunningSums
from taylored.core.links.margins import margin_of, margins_of, put, split_off, taken
from taylored.core.numerics import computing_dtype, harmless, smoothed
from taylored.core.plan.plan import Block, Plan, adjusted, along_classes, by_logits
from taylored.core.terms import fast_point
from taylored.core.terms.point import Point, continued, inside
from taylored.core.terms.term import Term


def value(block: Block, plan: Plan) -> Tensor:
    """Loss of each position, differentiable in any mode and in every slot."""
    if block.margin is not None:
        # Widened once: two gradients in half precision would be added up in half precision.
        block = replace(block, logits=block.logits.to(computing_dtype(block.logits)))
    z = adjusted(block, plan)
    if single_truth(plan):
        hot = block.target.unsqueeze(1)
        margin = margin_of(z, hot)
        if block.margin is not None:
            margin = margin + block.margin.added(true_logit(block, hot)) / plan.temperature
        values = bound_to_target(block, plan).evaluate(Point(inside(margin)))
        return (continued(values, margin, block.rows) * block.rows).squeeze(1)
    margins, mass = margins_of(z), _mass(block, plan, z)
    values = bound_to_axis(block, plan).evaluate(Point(inside(margins)))
    values = continued(values, margins, mass * block.rows)
    return (mass * values).sum(dim=1) * block.rows.squeeze(1)


def value_and_gradient(block: Block, plan: Plan, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    """Loss of each position, and the gradient of their sum on the logits.

    What is added to the `sums` is the gradient by the adjusted logits.
    """
    z = adjusted(block, plan)
    find = _single if single_truth(plan) else _distribution
    values, gradient = find(block, plan, z, sums)
    return values, by_logits(gradient, plan, block.logits)


def _single(block: Block, plan: Plan, z: Tensor, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    hot = block.target.unsqueeze(1)
    split = split_off(z, hot)
    margin = split.margin
    if block.margin is not None:
        margin = margin + block.margin.added(true_logit(block, hot)) / plan.temperature
    at = fast_point.fixed(inside(margin))
    values, slopes = bound_to_target(block, plan).evaluate_with_slope(at)
    slopes = slopes * block.rows
    gradient, pulls = split.shares.mul_(slopes), on_truth(block, hot, slopes)
    if sums is not None:
        # The share of the truth is exactly 0. If there is no other class, the slope is.
        sums.add_rivals(gradient, pulls, hot)
    values = continued(values, margin, block.rows)
    return (values * block.rows).squeeze(1), put(gradient, hot, -pulls)


def true_logit(block: Block, hot: Tensor) -> Tensor:
    """The logit of the true class as it was given, finite where a position counts for nothing."""
    logit = taken(block.logits, hot).to(computing_dtype(block.logits))
    return harmless(logit, block.rows == 0)


def on_truth(block: Block, hot: Tensor, slopes: Tensor) -> Tensor:
    """The pull on the true logit, of the slopes in the margin."""
    if block.margin is None:
        return slopes
    return slopes * (1.0 + block.margin.growth(true_logit(block, hot)))


def _distribution(
    block: Block, plan: Plan, z: Tensor, sums: RunningSums | None
) -> tuple[Tensor, Tensor]:
    top = z.argmax(dim=1, keepdim=True)
    top_margin, others, shares, peak, log_sum = split_off(z, top)
    q_top = torch.sigmoid(-top_margin)
    # No class below the top has p > 1/2, so that log(1 - p) is exact without splitting it off.
    log_p = (others - peak) + (F.logsigmoid(-top_margin) - log_sum)
    margins = put(log_p - torch.log1p(-torch.exp(log_p)), top, top_margin)
    at = fast_point.fixed(inside(margins))
    values, slopes = bound_to_axis(block, plan).evaluate_with_slope(at)
    mass = _mass(block, plan, z) * block.rows
    pulls = mass * slopes
    top_pull = taken(pulls, top)
    gains = put(pulls / at.q, top, 0.0)
    total = gains.sum(dim=1, keepdim=True)
    gradient = shares * (q_top * (total - gains) + top_pull) - pulls
    # The share of the top is exactly 0, and so its gradient comes from the other classes' terms
    # (`total`) and from its own pull.
    gradient = put(gradient, top, torch.sigmoid(top_margin) * total - top_pull)
    if sums is not None:
        sums.add_split(gradient, truth_of(block, plan, z))
    return (mass * continued(values, margins, mass)).sum(dim=1), gradient


def single_truth(plan: Plan) -> bool:
    """Whether every position has one true class and no mass anywhere else."""
    return plan.target_kind == "index" and plan.smoothing == 0.0


def _mass(block: Block, plan: Plan, z: Tensor) -> Tensor:
    """Weighted target mass of every class."""
    mass = truth_of(block, plan, z)
    return mass if plan.positive is None else mass * along_classes(plan.positive, block.logits)


def truth_of(block: Block, plan: Plan, z: Tensor) -> Tensor:
    """Target mass of every class, after label smoothing."""
    index = plan.target_kind == "index"
    truth = (one_hot(block.target, z) if index else block.target).to(z.dtype)
    return smoothed(truth, plan.smoothing, z.shape[1])


def bound_to_target(block: Block, plan: Plan) -> Term:
    """The term with per-class parameters of each position's target."""

    def pick(values: Tensor) -> Tensor:
        return along_classes(values, block.logits).reshape(-1)[block.target].unsqueeze(1)

    return plan.term.bind(pick)


def bound_to_axis(block: Block, plan: Plan) -> Term:
    """The term with per-class parameters along the class axis."""
    return plan.term.bind(lambda values: along_classes(values, block.logits))
