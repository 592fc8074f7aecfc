"""A softmax loss of a distribution of classes, which are split over processes.

As in `core/links/softmax.py` the largest class is split off, which one process owns. That takes its
logit first, and at last the sums over the classes of what the terms say. Where several processes
have the same largest logit, none is split off: then no class has more than half of the probability,
and log(1 - p) is exact for all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.engine.blocked import Place, cached
from taylored.core.engine.sharded.part import Part, put, taken, truth_of
from taylored.core.links.class_sums import RunningSums
from taylored.core.terms import fast_point
from taylored.core.terms.point import continued, inside


def of_distribution(part: Part, z: Tensor, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    """Loss of each position, and the gradient of their sum on the adjusted logits here."""
    spot, own, mine = _largest_here(z)
    top = part.largest(own.clone())
    mine = mine & (own == top)
    others = put(z, spot, mine, torch.full_like(own, torch.finfo(z.dtype).min))
    peak = part.peak(others)
    rest, tops = part.total(_sum_of_exponentials(others, peak), mine.to(z.dtype))
    alone = tops == 1.0
    margin = torch.where(top == torch.inf, torch.nan, (top - peak) - torch.log(rest))
    # Where the largest is split off, shares are those of the others; elsewhere, those of all.
    most, whole = torch.where(alone, peak, top), tops + rest * torch.exp(peak - top)
    log_sum = torch.log(torch.where(alone, rest, whole))
    log_q = torch.where(alone, F.logsigmoid(-margin), 0.0)
    q = torch.where(alone, torch.sigmoid(-margin), 1.0)
    off = SplitOff(spot, mine & alone, margin, most, log_sum, log_q, q)
    shares = put(others, spot, mine & ~alone, own)
    gradient, numbers = torch.empty_like(z), z.new_empty(z.shape[0], 3, *z.shape[2:])
    for place in cached(z):
        found = _spread(part.at(place), off.at(place), shares[place], gradient[place])
        numbers[place] = torch.cat(found, dim=1)
    losses, total, top_pull = part.total(numbers)
    for place in cached(z):
        factor = q[place] * total[place] + top_pull[place]
        gradient[place].addcmul_(shares[place], factor)
    gradient = put(gradient, spot, off.here, torch.sigmoid(margin) * total - top_pull)
    if sums is not None and part.columns.count:
        sums.add_split(gradient, truth_of(part, z))
    return losses.squeeze(1), gradient


class SplitOff(NamedTuple):
    """The largest class of each position, which is split off from the others; (N, 1[, S]) each.

    Attributes:
        spot: its column.
        here: whether it is one of this process.
        margin: its margin.
        most: the largest logit of the classes that have shares.
        log_sum: their log-sum-exp above that.
        log_q: logarithm of what is left to them.
        q: that itself.
    """

    spot: Tensor
    here: Tensor
    margin: Tensor
    most: Tensor
    log_sum: Tensor
    log_q: Tensor
    q: Tensor

    def at(self, place: Place) -> SplitOff:
        """The same for some positions."""
        return SplitOff(*(each[place] for each in self))


def _spread(part: Part, off: SplitOff, z: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """The losses of some positions, the sum of the gains of the others, and the pull on the top.

    `z` becomes the shares, and `gradient` what is known of it before the sums over the group are.
    """
    log_share = z.sub_(off.most).sub_(off.log_sum)
    log_p = log_share + off.log_q
    margins = log_p - fast_point.fast_log1p(-torch.exp(log_p))
    margins = put(margins, off.spot, off.here, off.margin)
    at = fast_point.fixed(inside(margins))
    values, slopes = part.plan.term.bind(part.per_class).evaluate_with_slope(at)
    mass = truth_of(part, z) * part.block.rows
    if part.plan.positive is not None:
        mass = mass * part.per_class(part.plan.positive)
    losses = (mass * continued(values, margins, mass)).sum(dim=1, keepdim=True)
    pulls = mass * slopes
    top_pull = taken(pulls, off.spot, off.here)
    gains = put(pulls / at.q, off.spot, off.here, torch.zeros_like(top_pull))
    shares = log_share.exp_()
    torch.neg(pulls, out=gradient).addcmul_(shares * off.q, gains, value=-1.0)
    return losses, gains.sum(dim=1, keepdim=True), top_pull


def _sum_of_exponentials(z: Tensor, peak: Tensor) -> Tensor:
    """The sum over the classes here of e^(z - peak)."""
    found = [torch.exp(z[place] - peak[place]).sum(dim=1, keepdim=True) for place in cached(z)]
    if len(found) == 1:
        return found[0]
    total = torch.empty_like(peak)
    for place, each in zip(cached(z), found, strict=True):
        total[place] = each
    return total


def _largest_here(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column and logit of the largest class of this process, and whether there is any class."""
    if not z.shape[1]:
        shape = (z.shape[0], 1, *z.shape[2:])
        spot = torch.zeros(shape, dtype=torch.int64, device=z.device)
        return spot, z.new_full(shape, -torch.inf), spot != 0
    spot = z.argmax(dim=1, keepdim=True)
    return spot, z.gather(1, spot), torch.ones_like(spot, dtype=torch.bool)
