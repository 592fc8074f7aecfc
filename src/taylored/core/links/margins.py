"""Margins of the softmax link: x = z_k - logsumexp(the other logits), so that p_k = sigmoid(x).

Splitting one class off, instead of subtracting its probability from 1, keeps every digit of the
margin at both ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.context import compiling
from taylored.core.inputs.targets import one_hot
from taylored.core.logistic import log1p
from taylored.core.numerics import without_offset
from taylored.core.plan.plan import Plan
from taylored.core.terms.fast_point import fast_log1p

PullBack = Callable[[Tensor], Tensor]
"""Gradients on the margins -> gradients on the logits."""


class SplitOff(NamedTuple):
    """One class of each position against the others; not for autograd.

    Attributes:
        margin: of the chosen class, (N, 1[, S]).
        others: the logits, with the chosen one replaced by the lowest number.
        shares: softmax of the others. The chosen class has share 0, if any other has one.
        peak: the largest of the others, (N, 1[, S]).
        log_sum: their log-sum-exp above the peak, (N, 1[, S]). A sum of both would be rounded to
            the digits of the peak.
    """

    margin: Tensor
    others: Tensor
    shares: Tensor
    peak: Tensor
    log_sum: Tensor


def split_off(z: Tensor, hot: Tensor) -> SplitOff:
    """The margin of one class of each position, `hot` (N, 1[, S]), and the shares of the others."""
    chosen, others = _separated(z, hot)
    shares, peak, log_sum = _shares(others)
    return SplitOff(_above(chosen, peak, log_sum), others, shares, peak, log_sum)


def margin_of(z: Tensor, hot: Tensor) -> Tensor:
    """The margin of one class of each position, differentiable."""
    chosen, others = _separated(z, hot)
    peak = others.detach().amax(dim=1, keepdim=True)
    return _above(chosen, peak, torch.logsumexp(others - peak, dim=1, keepdim=True))


def margins_of(z: Tensor) -> Tensor:
    """The margin of every class, differentiable."""
    z = without_offset(z, 1)
    top = z.argmax(dim=1, keepdim=True)
    top_margin = margin_of(z, top)
    is_top = _is(top, z)
    # Both branches of `where` have to be finite, or the derivative of the dropped one is NaN.
    log_p = torch.where(is_top, -1.0, z - torch.logsumexp(z, dim=1, keepdim=True))
    return torch.where(is_top, top_margin, log_p - log1p(-torch.exp(log_p)))


def margins_and_pullback(z: Tensor, plan: Plan) -> tuple[Tensor, PullBack]:
    """The margin of every class as a leaf, and the way back from gradients on the margins.

    For the sigmoid link the margins are the logits.
    """
    if plan.link == "sigmoid":
        return z.detach(), lambda pulls: pulls
    # No class below the largest has p > 1/2, so that log(1 - p) is exact there.
    top = z.argmax(dim=1, keepdim=True)
    top_margin, others, shares, peak, log_sum = split_off(z, top)
    log_p = others.sub_(peak).sub_(log_sum - F.logsigmoid(-top_margin))
    p = torch.exp(log_p)
    margins = log_p.sub_(fast_log1p(-p)).scatter_(1, top, top_margin)

    def pull_back(pulls: Tensor) -> Tensor:
        # dx_j / dz_k is 1 for k = j, and -p_k / (1 - p_j) otherwise. p_k is a share of 1 - p_top.
        per_rest = (pulls / torch.sigmoid(-margins)).scatter_(1, top, 0.0)
        total = per_rest.sum(dim=1, keepdim=True)
        gradient = pulls - shares * (
            torch.sigmoid(-top_margin) * (total - per_rest) + pulls.gather(1, top)
        )
        return gradient.scatter_add_(1, top, -torch.sigmoid(top_margin) * total)

    return margins, pull_back


# Scattering is the fastest way to one entry of each position, but a compiler writes everything to
# memory before and after it. Compiled, it is a comparison, which fuses with what is around it.


def put(values: Tensor, hot: Tensor, new: Tensor | float) -> Tensor:
    """The values with one of each position replaced. Eager code overwrites `values`."""
    if compiling():
        return torch.where(_is(hot, values), new, values)
    return values.scatter_(1, hot, new)


def taken(values: Tensor, hot: Tensor) -> Tensor:
    """One value of each position."""
    if compiling():
        return torch.where(_is(hot, values), values, 0.0).sum(dim=1, keepdim=True)
    return values.gather(1, hot)


def _is(hot: Tensor, values: Tensor) -> Tensor:
    return one_hot(hot.squeeze(1), values)


def _separated(z: Tensor, hot: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen logit of each position, and all logits with the chosen one replaced.

    It is replaced by the lowest number and not by -inf, which keeps positions without any other
    class finite.
    """
    lowest = torch.finfo(z.dtype).min
    if compiling():
        return z.gather(1, hot), torch.where(_is(hot, z), lowest, z)
    return z.gather(1, hot), z.scatter(1, hot, lowest)


def _above(chosen: Tensor, peak: Tensor, log_sum: Tensor) -> Tensor:
    """The margin of a logit over others with this peak. That of +inf is NaN, as its softmax is."""
    return torch.where(chosen == torch.inf, torch.nan, (chosen - peak) - log_sum)


def _shares(others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax over axis 1, the largest, and the log-sum-exp above the largest."""
    peak = others.amax(dim=1, keepdim=True)
    if compiling():
        sizes = torch.exp(others - peak)
        total = sizes.sum(dim=1, keepdim=True)
        return sizes / total, peak, torch.log(total)
    # Torch's own kernel. The largest share is at least 1/C, so that its logarithm is exact.
    shares = torch.softmax(others, dim=1)
    return shares, peak, -torch.log(shares.amax(dim=1, keepdim=True))
