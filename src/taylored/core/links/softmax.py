"""The softmax link: one truth among C classes per position.

With a single true class t, p_t = sigmoid(x) for the margin x = z_t - logsumexp(the other logits),
so that the loss is a function of x alone; its gradient is -h on the true logit, and h shared out
among the others by the softmax *over the others*. Neither form subtracts nearly equal numbers,
which is what keeps focal-like terms exact at confident predictions. A target distribution y sums
this over the classes; only the largest class can have q < 1/2, and only it needs the masked form.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.inputs.targets import one_hot
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.plan import Block, Plan, adjusted, along_classes
from taylored.core.terms.point import Point
from taylored.core.terms.term import Term


def value(block: Block, plan: Plan) -> Tensor:
    """Loss of each position, differentiable in any mode and in every slot."""
    z = adjusted(block, plan)
    if single_truth(plan):
        chosen, others = _split(z, block.target.unsqueeze(1))
        margin = chosen - torch.logsumexp(others, dim=1, keepdim=True)
        values = bound_to_target(block, plan).evaluate(Point(margin))
        return (values * block.rows).squeeze(1)
    values = bound_to_axis(block, plan).evaluate(Point(margins_of(z)))
    return (_mass(block, plan, z) * values).sum(dim=1) * block.rows.squeeze(1)


def value_and_gradient(block: Block, plan: Plan, sums: ClassSums | None) -> tuple[Tensor, Tensor]:
    """Loss of each position, and the gradient of their sum on the logits.

    Adds that gradient, before the division by the temperature, to the `sums`.
    """
    z = adjusted(block, plan)
    find = _single if single_truth(plan) else _distribution
    values, gradient = find(block, plan, z, sums)
    return values, gradient if plan.temperature == 1.0 else gradient / plan.temperature


def _single(block: Block, plan: Plan, z: Tensor, sums: ClassSums | None) -> tuple[Tensor, Tensor]:
    hot = block.target.unsqueeze(1)
    chosen, others = _split(z, hot)
    shares, log_sum = _shares(others)
    margin = chosen - log_sum
    values, slopes = bound_to_target(block, plan).evaluate_with_slope(Point.fixed(margin))
    slopes = slopes * block.rows
    gradient = shares.mul_(slopes)
    if sums is not None:
        # The truth's own share is exactly 0, or the only one, with a slope of 0.
        sums.add_rivals(gradient, slopes, hot)
    return (values * block.rows).squeeze(1), _put(gradient, hot, -slopes)


def _distribution(
    block: Block, plan: Plan, z: Tensor, sums: ClassSums | None
) -> tuple[Tensor, Tensor]:
    top = z.argmax(dim=1, keepdim=True)
    chosen, others = _split(z, top)
    shares, log_sum = _shares(others)
    top_margin = chosen - log_sum
    q_top = torch.sigmoid(-top_margin)
    # Of the classes below the top none has p > 1/2, so log(1 - p) is exact without a mask.
    log_p = others - log_sum + F.logsigmoid(-top_margin)
    margins = _put(log_p - torch.log1p(-torch.exp(log_p)), top, top_margin)
    at = Point.fixed(margins)
    values, slopes = bound_to_axis(block, plan).evaluate_with_slope(at)
    mass = _mass(block, plan, z) * block.rows
    pulls = mass * slopes
    top_pull = _taken(pulls, top)
    gains = _put(pulls / at.q, top, 0.0)
    total = gains.sum(dim=1, keepdim=True)
    gradient = shares * (q_top * (total - gains) + top_pull) - pulls
    # The top's own share is exactly 0, or the only one, with nothing on others: -pull is left.
    gradient = _put(gradient, top, torch.sigmoid(top_margin) * total - top_pull)
    if sums is not None:
        sums.add_split(gradient, truth_of(block, plan, z))
    return (mass * values).sum(dim=1), gradient


def single_truth(plan: Plan) -> bool:
    """Whether every position has one true class and no mass anywhere else."""
    return plan.target_kind == "index" and plan.smoothing == 0.0


def _split(z: Tensor, hot: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen logit of each position, and the logits with the chosen one taken out.

    Taken out means lowest and not -inf, which keeps positions without rivals finite.
    """
    lowest = torch.finfo(z.dtype).min
    if torch.compiler.is_compiling():
        return z.gather(1, hot), torch.where(_is(hot, z), lowest, z)
    return z.gather(1, hot), z.scatter(1, hot, lowest)


# Scattering is the fastest way to one entry of each position, but a compiler writes everything to
# memory before and after it. Compiled, it is a comparison, which fuses with what is around it.


def _is(hot: Tensor, values: Tensor) -> Tensor:
    return one_hot(hot.squeeze(1), values)


def _put(values: Tensor, hot: Tensor, new: Tensor | float) -> Tensor:
    """The values, which nobody needs any more, with one of each position replaced."""
    if torch.compiler.is_compiling():
        return torch.where(_is(hot, values), new, values)
    return values.scatter_(1, hot, new)


def _taken(values: Tensor, hot: Tensor) -> Tensor:
    """One value of each position."""
    if torch.compiler.is_compiling():
        return torch.where(_is(hot, values), values, 0.0).sum(dim=1, keepdim=True)
    return values.gather(1, hot)


def _shares(others: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax over axis 1 and the log-sum-exp; not for autograd."""
    if torch.compiler.is_compiling():
        top = others.amax(dim=1, keepdim=True)
        sizes = torch.exp(others - top)
        total = sizes.sum(dim=1, keepdim=True)
        return sizes / total, top + torch.log(total)
    # By torch's own kernel. The largest share is at least 1/C, so that its logarithm is exact.
    shares = torch.softmax(others, dim=1)
    top_share = shares.amax(dim=1, keepdim=True)
    return shares, others.amax(dim=1, keepdim=True) - torch.log(top_share)


def margins_of(z: Tensor) -> Tensor:
    """log(p / (1 - p)) of every class, differentiable."""
    top = z.argmax(dim=1, keepdim=True)
    chosen, others = _split(z, top)
    top_margin = chosen - torch.logsumexp(others, dim=1, keepdim=True)
    is_top = _is(top, z)
    # The branch that `where` drops must be finite too, or its derivative poisons the kept one.
    log_p = torch.where(is_top, -1.0, z - torch.logsumexp(z, dim=1, keepdim=True))
    return torch.where(is_top, top_margin, log_p - torch.log1p(-torch.exp(log_p)))


def _mass(block: Block, plan: Plan, z: Tensor) -> Tensor:
    """Weighted target mass of every class."""
    mass = truth_of(block, plan, z)
    return mass if plan.positive is None else mass * along_classes(plan.positive, block.logits)


def truth_of(block: Block, plan: Plan, z: Tensor) -> Tensor:
    """Target mass of every class."""
    even = plan.smoothing / z.shape[1]
    if plan.target_kind == "index":
        return one_hot(block.target, z).to(z.dtype) * (1.0 - plan.smoothing) + even
    mass = block.target.to(z.dtype)
    return mass * (1.0 - plan.smoothing) + even if plan.smoothing else mass


def bound_to_target(block: Block, plan: Plan) -> Term:
    """The term with per-class parameters of each position's target."""

    def pick(values: Tensor) -> Tensor:
        return along_classes(values, block.logits).reshape(-1)[block.target].unsqueeze(1)

    return plan.term.bind(pick)


def bound_to_axis(block: Block, plan: Plan) -> Term:
    """The term with per-class parameters along the class axis."""
    return plan.term.bind(lambda values: along_classes(values, block.logits))
