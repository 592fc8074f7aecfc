"""Tilted empirical risk: between the mean, the hardest and the easiest losses of a batch."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.core.rows.counted import share_of_each
from taylored.losses.reductions.unreduced import UnreducedLoss
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["TiltedLoss"]


def tilted_mean(values: Tensor, weight: Tensor, t: float) -> Tensor:
    """(1/t) log(sum w e^(t L) / sum w), 0 where nothing has weight (Li et al. 2021)."""
    total = weight.sum()
    if t == 0.0:
        return torch.where(weight == 0, 0.0, values * weight).sum() / one_if_zero(total)
    nothing = weight == 0
    exponents = t * torch.where(nothing, 0.0, values) + torch.log(torch.where(nothing, 1.0, weight))
    # Without anything to count the sum is one of zeros, which has a gradient of 0.
    lowest = torch.where(nothing.all(), 0.0, -torch.inf)
    exponents = torch.where(nothing, lowest, exponents)
    found = (torch.logsumexp(exponents.reshape(-1), 0) - torch.log(one_if_zero(total))) / t
    return torch.where(total == 0, 0.0, found)


class TiltedLoss(UnreducedLoss):
    r"""Tilted empirical risk, :math:`\frac{1}{t} \log \overline{e^{t L}}`.

    t = 0 is the mean, towards infinity it is the largest loss of the batch, towards minus infinity
    the smallest: raising t makes a batch as good as its worst samples, lowering it lets outliers
    and wrong labels go. For the softmax link a value is that of a position, for the sigmoid link
    that of an element.

    `sample_weight` says how often a value is in the mean; what is ignored, or has no weight, is not
    in it. "sum" is the mean times the weights, "none" has no meaning.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> logits = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
        >>> truth = torch.tensor([0, 0, 0, 1])
        >>> TiltedLoss(CrossEntropyLoss(), t=0)(logits, truth)
        tensor(0.2097)
        >>> TiltedLoss(CrossEntropyLoss(), t=5)(logits, truth)
        tensor(0.4385)

    Inference: `predict` is that of the wrapped loss.
    """

    unreadable = "how much a sample counts depends on the others of its batch"
    t: Annotated[
        float,
        About(
            "tilt; raising it above 0 favours the hardest values, lowering it below 0 the easiest",
            fix="1 for fairness, -1 for robustness",
            search=(-5.0, 5.0),
        ),
    ] = 1.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The tilted mean of the values of the wrapped loss."""
        if options.reduction == "none":
            fail("reduction", '"mean", "batch_mean" or "sum" of a tilted loss, which belongs to a '
                 "whole batch", "none", 'use reduction="mean" in the wrapped loss')  # fmt: skip
        given = options.sample_weight
        # The wrapped loss is told what counts for nothing, and nothing else of the weights.
        mask = None if given is None else (given != 0).to(torch.float32)
        share_of = share_of_each(input, target, options._replace(weight=None))
        values = self.each(input, target, options._replace(sample_weight=mask))
        weight = share_of(values)
        found = tilted_mean(values, weight, self.t)
        if options.normalizer is not None:
            amount = torch.as_tensor(options.normalizer, device=found.device).to(found)
            return torch.where(amount == 0, 0.0, found * weight.sum() / one_if_zero(amount))
        return found * weight.sum() if options.reduction == "sum" else found


SPEC = spec_of(
    "tilted",
    TiltedLoss,
    summary="the exponentially tilted mean of the losses of any loss (TERM)",
    formula=r"\frac{1}{t} \log \frac{1}{n} \sum_i e^{t L_i}",
    reference=Reference(
        "Li, Beirami, Sanjabi, Smith",
        "Tilted Empirical Risk Minimization",
        "ICLR 2021",
        "equation 2",
    ),
    value_range="that of the wrapped loss",
    denominator="sample weights of what is not ignored",
    examples=(
        "tilted(cross_entropy(), t=1)",
        "tilted(cross_entropy(), t=-2)",
        'tilted(focal(gamma=2, link="sigmoid"), t=0.5)',
    ),
    call="batch",
)
