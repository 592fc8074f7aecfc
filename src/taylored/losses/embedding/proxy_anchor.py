"""Proxy anchor: one vector per class, which every sample of a batch pulls or pushes at once."""

from __future__ import annotations

from typing import Annotated, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.elementwise import element_batch, elements
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import ReducedCall, ReducedLoss

__all__ = ["ProxyAnchorLoss", "proxy_anchor_loss"]


def log_one_plus_sum(values: Tensor, where: Tensor) -> Tensor:
    """log(1 + sum of e^v) over the samples that are meant, per class; 0 where there is none."""
    nobody = ~where.any(dim=0)
    # A column of nothing but -inf has derivatives that are NaN.
    kept = torch.where(where, values, torch.where(nobody, 0.0, -torch.inf))
    return torch.where(nobody, 0.0, F.softplus(torch.logsumexp(kept, dim=0)))


def _loss(input: Logits, target: Tensor, margin: float, scale: float, options: Options) -> Tensor:
    """The sum of both means (Kim et al. 2020, equation 4)."""
    given = element_batch(input, target, options._replace(reduction="none", normalizer=None))
    found, plan = elements(given), given.plan
    if plan.target_kind != "index":
        fail("target", "class indices: a sample pulls the proxy of its one class",
             f"probabilities, shape {tuple(target.shape)}", "use target.argmax(1)")  # fmt: skip
    cosine, y, rows = (
        each.movedim(1, -1).reshape(-1, each.shape[1]) for each in (found.z, found.y, plan.rows)
    )
    counted = rows != 0
    own, other = counted & (y > 0.5), counted & (y < 0.5)
    log_weight = torch.log(torch.where(counted, rows, 1.0))
    # Infinite logits that do not belong to a side must not reach its derivative.
    pulled = log_one_plus_sum(log_weight - scale * (torch.where(own, cosine, 0.0) - margin), own)
    pushed = log_one_plus_sum(
        log_weight + scale * (torch.where(other, cosine, 0.0) + margin), other
    )
    if options.normalizer is not None:
        amount = torch.as_tensor(options.normalizer, device=cosine.device).to(cosine)
        total = pulled.sum() + pushed.sum()
        return torch.where(amount == 0, 0.0, total / one_if_zero(amount))
    if options.reduction == "sum":
        return pulled.sum() + pushed.sum()
    return pulled.sum() / own.any(dim=0).sum().clamp_min(1) + pushed.mean()


class ProxyAnchorLoss(ReducedLoss):
    r"""Proxy anchor, :math:`\log (1 + \sum e^{-s (c - m)})` of a class's samples and of others.

    Every class has a proxy, a vector that is trained along: the weight of a
    `taylored.CosineClassifier`, whose cosines are the input. A proxy is compared with all samples
    of the batch at once, and its hardest ones pull and push most: the relations between samples
    count, as with pairs, at the price of a classifier. The mean over the classes that occur and
    that over all classes are added. Give the proxies a larger learning rate; 100 times that of the
    model is published.

    `sample_weight` says how often a sample is there.

    Example:
        >>> import torch
        >>> loss = ProxyAnchorLoss(scale=4.0)
        >>> loss(torch.tensor([[0.9, 0.1], [0.2, 0.7]]), torch.tensor([0, 1]))
        tensor(1.3806)
    """

    link = "softmax"
    unreadable = "it compares the samples of a batch, and trains no probability"
    margin: Annotated[
        float,
        About(
            "on either side of 0, of the cosines that are asked for; raising it asks for closer "
            "samples and for classes farther apart",
            within="[0, 1]",
            fix="0.1 is the published choice",
            search=(0.0, 0.4),
        ),
    ] = 0.1
    scale: Annotated[
        float,
        About(
            "sharpness; raising it lets the hardest samples of a proxy speak for all",
            within="(0, inf)",
            fix="32 is the published choice",
            search=(8.0, 64.0, "log"),
        ),
    ] = 32.0
    reduction: Annotated[
        Literal["mean", "sum"],
        About(
            '"mean" or "sum" over classes: positions have no values of their own',
            shared=True,
            slot=True,
        ),
    ] = "mean"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Both means."""
        return _loss(input, target, self.margin, self.scale, options)


@function_of(ProxyAnchorLoss)
def proxy_anchor_loss(
    input: Logits,
    target: Tensor,
    *,
    margin: float = 0.1,
    scale: float = 32.0,
    **shared: Unpack[ReducedCall],
) -> Tensor:
    r"""Proxy anchor, :math:`\log (1 + \sum e^{-s (c - m)})` of a class's samples and of others.

    Example:
        >>> import torch
        >>> cosines = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
        >>> proxy_anchor_loss(cosines, torch.tensor([0, 1]), scale=4.0)
        tensor(1.3806)
    """
    return _loss(input, target, margin, scale, Options(**shared))


SPEC = spec_of(
    "proxy_anchor",
    ProxyAnchorLoss,
    proxy_anchor_loss,
    summary="proxies of the classes, pulled by their samples, pushed by all others, hardest most",
    formula=r"\frac{1}{|P^+|} \sum_{p \in P^+} \log \left(1 + \sum_{x \in p} e^{-s (c - m)}\right)"
    r" + \frac{1}{C} \sum_p \log \left(1 + \sum_{x \notin p} e^{s (c + m)}\right)",
    reference=Reference(
        "Kim, Kim, Cho, Kwak",
        "Proxy Anchor Loss for Deep Metric Learning",
        "CVPR 2020",
        "equation 4",
    ),
    differs={
        "pytorch-metric-learning": "ProxyAnchorLoss(num_classes, embedding_size, margin, alpha = "
        "scale): holds the proxies itself; equal on CosineClassifier's cosines",
        "tjddus9597/Proxy-Anchor-CVPR2020": "its sums overflow for a scale above 80",
    },
    denominator="classes that occur, and all classes, each for its half",
    examples=("proxy_anchor(scale=4)", "proxy_anchor(margin=0.3, scale=2)"),
    targets=("index",),
    head="cosine",
    call="batch",
)
