"""Distribution-balanced loss: multi-label re-weighting, and negatives that saturate early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.class_weights import check_counts, inverse_frequency_weights
from taylored.core.context import values_are_known
from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import Values
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.plan.plan import along_classes
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.point import Point
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, Counts, WeightedBackgroundCall, WeightedLoss

__all__ = ["DistributionBalancedLoss", "distribution_balanced_loss"]


def class_statistics(counts: PerClass, num_samples: int | None) -> tuple[Tensor, Tensor]:
    """1/n_j up to a factor, and the log odds of each class; finite for any counts."""
    amounts = check_counts(counts)
    total = amounts.sum() if num_samples is None else torch.full_like(amounts[0], num_samples)
    if values_are_known() and bool(amounts.max() > total):
        fail("num_samples", "at least the largest count", num_samples, "count training samples")
    total = total.clamp_min(2.0)
    present = torch.minimum(amounts.clamp_min(1.0), total - 1.0)
    inverse = inverse_frequency_weights(counts, dtype=torch.float64)
    return inverse, torch.log(present / (total - present))


def rebalancing_weight(
    inverse: Tensor, floor: float, beta: float, mu: float
) -> Callable[[Tensor], Tensor]:
    """Floor + sigmoid(beta (r - mu)), r the share of 1/n_j in the row's positives (eq. 3 to 5)."""

    def weight(y: Tensor) -> Tensor:
        rarity = along_classes(inverse, y)
        total = (y * rarity).sum(dim=1, keepdim=True)
        share = rarity / torch.where(total > 0, total, 1.0)
        mapped = torch.sigmoid(beta * (share - mu))
        # A row without positives has the weight in the limit of ever rarer ones.
        return floor + torch.where(total > 0, mapped, 1.0)

    return weight


def distribution_balanced_values(
    weight: Callable[[Tensor], Tensor], prior: Tensor, kappa: float, scale: float, gamma: float
) -> Values:
    """The weight times focal loss of x + nu for yes, of s (x + nu) over s for no (eq. 9)."""
    focal = power(gamma) * nll

    def values(at: Point, y: Tensor) -> Tensor:
        shifted = at.margin + (kappa / scale) * along_classes(prior, y)
        yes = focal.evaluate(type(at)(shifted))
        no = focal.evaluate(type(at)(-scale * shifted)) / scale
        return weight(y) * (y * yes + (1.0 - y) * no)

    return values


class DistributionBalancedLoss(WeightedLoss, BackgroundLoss):
    r"""Distribution-balanced focal loss, re-weighted by row and tolerant of negatives.

    Two remedies for multi-label data that are sampled class by class. *Re-balancing*: labels occur
    together, so that sampling for one class repeats others; the weight
    floor + sigmoid(beta (r - mu)) undoes it, with r = (1 / n_j) / (sum of 1 / n_k over the row's
    positives) and n_j the positives of class j, `counts`. *Negative tolerance*: the logit is
    shifted by nu_j = -kappa / s times log(N / n_j - 1), low for rare classes, and that of a
    negative is also multiplied by s, `negative_scale` (and its loss divided by s), so that a
    negative's gradient fades as soon as it is on the right side; a rare class is nearly always a
    negative.

    Example:
        >>> import torch
        >>> loss = DistributionBalancedLoss(counts=[90, 10], num_samples=95)
        >>> loss(torch.tensor([[1.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.0109)

    Rows without positives get the largest weight, floor + 1, the limit of ever rarer positives.
    Inference: `predict` is yes where the logit is positive; the shift belongs to training.
    """

    unreadable = "the weight of an element depends on which labels its row has besides"
    link = "sigmoid"
    counts: Counts
    num_samples: Annotated[int | None, About(
        "training samples (N); raising it shifts the logits down. None is the sum of the counts, "
        "which is N only for one label a sample",
        domain="a whole number, at least the largest count, or None",
        within="[0, inf)", fix="count training samples",
    )] = None  # fmt: skip
    floor: Annotated[float, About(
        "smallest weight (the paper's alpha); raising it evens the weights out",
        within="[0, inf)", fix="0.1 in the official configs", search=(0.0, 1.0),
    )] = 0.1  # fmt: skip
    beta: Annotated[float, About(
        "steepness of the weight in r; raising it separates over- and under-sampled labels",
        within="[0, inf)", fix="10 in the official configs", search=(1.0, 20.0),
    )] = 10.0  # fmt: skip
    mu: Annotated[float, About(
        "r at which the weight is halfway; raising it lowers the weight of frequent labels",
        fix="0.2 in the COCO config", search=(0.1, 0.5),
    )] = 0.2  # fmt: skip
    kappa: Annotated[float, About(
        "strength of the shift; raising it shifts the logits of rare classes more",
        within="[0, inf)", fix="0 switches the shift off", search=(0.0, 0.2),
    )] = 0.05  # fmt: skip
    negative_scale: Annotated[float, About(
        "factor s on a negative's logit; raising it lets negatives go sooner",
        within="(0, inf)", fix="1 treats both sides alike", search=(1.0, 10.0),
    )] = 2.0  # fmt: skip
    gamma: Annotated[float, About(
        "focusing, of the scaled and shifted logit; raising it silences easy samples sooner",
        within="[0, inf)", fix="0 is no focusing", search=(0.0, 5.0),
    )] = 2.0  # fmt: skip

    def derive(self) -> None:
        """Work out 1/n_j and the log odds of every class."""
        inverse, prior = class_statistics(self.counts, self.num_samples)
        self.inverse = nn.Buffer(inverse, persistent=False)
        self.prior = nn.Buffer(prior, persistent=False)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets."""
        weight = rebalancing_weight(self.inverse, self.floor, self.beta, self.mu)
        values = distribution_balanced_values(
            weight, self.prior, self.kappa, self.negative_scale, self.gamma
        )
        return element_loss(input, target, values, options)


@function_of(DistributionBalancedLoss)
def distribution_balanced_loss(
    input: Tensor,
    target: Tensor,
    *,
    counts: PerClass,
    num_samples: int | None = None,
    floor: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.2,
    kappa: float = 0.05,
    negative_scale: float = 2.0,
    gamma: float = 2.0,
    **shared: Unpack[WeightedBackgroundCall],
) -> Tensor:
    r"""Distribution-balanced focal loss, re-weighted by row and tolerant of negatives.

    Example:
        >>> import torch
        >>> logits, target = torch.tensor([[1.0, -1.0]]), torch.tensor([[1, 0]])
        >>> distribution_balanced_loss(logits, target, counts=[90, 10])
        tensor(0.0113)
    """
    inverse, prior = class_statistics(counts, num_samples)
    weight = rebalancing_weight(inverse, floor, beta, mu)
    values = distribution_balanced_values(weight, prior, kappa, negative_scale, gamma)
    return element_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "distribution_balanced",
    DistributionBalancedLoss,
    distribution_balanced_loss,
    summary="multi-label focal loss, re-weighted by which labels occur together; early negatives",
    formula=(
        r"\hat r \left[y\,\mathrm{FL}(x + \nu) + (1-y) \tfrac{1}{s} \mathrm{FL}(-s(x + \nu))\right]"
        r",\quad \hat r = \alpha + \sigma(\beta(r - \mu))"
    ),
    reference=Reference(
        "Wu, Huang, Liu, Wang, Lin",
        "Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets",
        "ECCV 2020",
        "equations 3 to 9",
    ),
    differs={
        "wutong16/DistributionBalancedLoss": "ResampleLoss(reweight_func='rebalance'): equal up to "
        "its balance_param = 2, a factor on everything. Defaults here are those of its COCO "
        "config; its VOC config has mu=0.3, negative_scale=5, and the defaults of its class (alpha "
        "10, beta 0.2) appear in neither. It adds the shift to the network's output in place, and "
        "a class without positives makes its loss NaN",
    },
    examples=(
        "distribution_balanced()",
        "distribution_balanced(num_samples=2000, mu=0.3, negative_scale=5, gamma=0.5)",
    ),
)
