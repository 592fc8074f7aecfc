"""The mean of the hardest share of a batch: OHEM, top-k, CVaR."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.denominator import denominator_of, divided
from taylored.core.plan.options import Options
from taylored.core.rows.counted import share_of_each
from taylored.losses.reductions.unreduced import UnreducedLoss
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["HardestLoss"]

_ROUNDING = 1e-9
"""0.1 of 30 values are 3, although the product is a little more."""


def hardest(values: Tensor, counted: Tensor, share: float) -> Tensor:
    """Which values are the largest ceil(share n) of the n that count."""
    flat, mask = values.detach().reshape(-1), counted.reshape(-1)
    number = torch.ceil(mask.sum().to(torch.float64) * (share * (1.0 - _ROUNDING)))
    order = torch.where(mask, flat, -torch.inf).argsort(descending=True, stable=True)
    places = torch.arange(flat.numel(), device=flat.device)
    rank = torch.zeros_like(order).scatter(0, order, places)
    return ((rank < number.to(rank.device)) & mask).reshape(values.shape)


class HardestLoss(UnreducedLoss):
    r"""The mean of the largest :math:`\lceil \rho n \rceil` of the n losses of a batch.

    Known as online hard example mining, top-k loss, and as the conditional value at risk. In a
    batch that is mostly easy the mean is mostly of what is learned already. Noisy labels are the
    hardest of all: the smaller the share, the more of it is noise. For the softmax link a value is
    that of a position, for the sigmoid link that of an element.

    What is ignored, or has no weight, counts neither towards n nor among the hardest. Weights
    multiply the values before they are compared. "mean" divides by the number of values that are
    taken, "batch_mean" by all that count, "none" is 0 for the others.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> logits = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
        >>> truth = torch.tensor([0, 0, 0, 1])
        >>> HardestLoss(CrossEntropyLoss(), share=0.25)(logits, truth)
        tensor(0.6931)

    Inference: `predict` is that of the wrapped loss.
    """

    unreadable = "which samples are trained on depends on the batch"
    share: Annotated[
        float,
        About(
            "rho, of the values that are taken; raising it comes closer to the mean, which is 1",
            within="(0, 1]",
            fix="0.1 to 0.3 are usual in segmentation",
            search=(0.05, 1.0),
        ),
    ] = 0.25

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The hardest of the values of the wrapped loss."""
        share_of = share_of_each(input, target, options)
        values = self.each(input, target, options)
        counted = share_of(values) != 0
        taken = hardest(values, counted, self.share)
        values = torch.where(taken, values, 0.0)
        if options.reduction == "none":
            return values
        denominator = denominator_of(
            options.reduction, options.normalizer, mean=taken.sum(), batch_mean=counted.sum()
        )
        return divided(values.sum(), denominator, options.normalizer)


SPEC = spec_of(
    "hardest",
    HardestLoss,
    summary="the mean of the hardest share of the losses of any loss (OHEM, top-k, CVaR)",
    formula=r"\frac{1}{\lceil \rho n \rceil} \sum_{i \le \lceil \rho n \rceil} L_{(i)},"
    r"\quad L_{(1)} \ge L_{(2)} \ge \dots",
    reference=Reference(
        "Shrivastava, Gupta, Girshick",
        "Training Region-based Object Detectors with Online Hard Example Mining",
        "CVPR 2016",
        "section 4; as a risk: Rockafellar and Uryasev, Journal of Risk 2000",
    ),
    differs={
        "nnU-Net": "TopKLoss(k=10) takes k percent of all voxels, ignored ones, whose loss is 0, "
        "included: the share that is kept falls with the ignored ones. Equal where none is",
        "detectron2 / mmsegmentation": "OHEM with a threshold of p and a least number instead of a "
        "share",
    },
    value_range="that of the wrapped loss",
    denominator="the values that are taken",
    examples=(
        "hardest(cross_entropy(), share=0.25)",
        'hardest(focal(gamma=2, link="sigmoid"), share=0.4)',
        "hardest(cross_entropy(), share=1)",
    ),
    call="batch",
)
