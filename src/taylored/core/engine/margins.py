"""Log odds of every class, and the way back from them to the logits, without autograd."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.plan.plan import Plan
from taylored.core.terms.point import fast_log1p

PullBack = Callable[[Tensor], Tensor]
"""Gradients on the margins -> gradients on the logits."""


def margins_and_pullback(z: Tensor, plan: Plan) -> tuple[Tensor, PullBack]:
    """The margins x with p = sigmoid(x), as a leaf; for the softmax link over axis 1.

    As in `core/links/softmax.py`, the largest logit is split off: below it no class has p > 1/2, and its
    own margin needs no 1 - p.
    """
    if plan.link == "sigmoid":
        return z.detach(), lambda pulls: pulls
    top = z.argmax(dim=1, keepdim=True)
    others = z.scatter(1, top, torch.finfo(z.dtype).min)
    shares = torch.softmax(others, dim=1)
    log_sum = others.amax(dim=1, keepdim=True) - torch.log(shares.amax(dim=1, keepdim=True))
    top_margin = z.gather(1, top) - log_sum
    log_p = others.sub_(log_sum - F.logsigmoid(-top_margin))
    p = torch.exp(log_p)
    margins = log_p.sub_(fast_log1p(-p)).scatter_(1, top, top_margin)

    def pull_back(pulls: Tensor) -> Tensor:
        # dx_j / dz_k is 1 for k = j and -p_k / (1 - p_j) besides; p_k is a share of 1 - p_top.
        per_rest = (pulls / torch.sigmoid(-margins)).scatter_(1, top, 0.0)
        total = per_rest.sum(dim=1, keepdim=True)
        gradient = pulls - shares * (
            torch.sigmoid(-top_margin) * (total - per_rest) + pulls.gather(1, top)
        )
        return gradient.scatter_add_(1, top, -torch.sigmoid(top_margin) * total)

    return margins, pull_back
