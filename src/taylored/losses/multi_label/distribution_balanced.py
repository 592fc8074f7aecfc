"""Distribution-balanced loss: multi-label re-weighting, and negatives that saturate early."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.class_counts import check_counts, inverse_frequency_weights
from taylored.core.engine.elementwise import Values
from taylored.core.engine.elementwise_pass import element_loss
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.plan.plan import along_classes
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.point import Point
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import check_fit
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


@dataclass(frozen=True)
class Settings:
    """The numbers of the loss; see `DistributionBalancedLoss`."""

    floor: float
    beta: float
    mu: float
    kappa: float
    negative_scale: float
    gamma: float

    def __post_init__(self) -> None:
        infinity = math.inf
        in_range("floor", self.floor, 0.0, infinity, "0.1 in the official configs", interval="[)")
        in_range("beta", self.beta, 0.0, infinity, "10 in the official configs", interval="[)")
        in_range("mu", self.mu, -infinity, infinity, "0.2 in the COCO config", interval="()")
        in_range("kappa", self.kappa, 0.0, infinity, "0 switches the shift off", interval="[)")
        in_range(
            "negative_scale", self.negative_scale, 0.0, infinity,
            "1 treats both sides alike", interval="()",
        )  # fmt: skip
        in_range("gamma", self.gamma, 0.0, infinity, "0 is no focusing", interval="[)")


def rebalancing_weight(y: Tensor, inverse: Tensor, settings: Settings) -> Tensor:
    """Floor + sigmoid(beta (r - mu)), r the share of 1/n_j in the row's positives (eq. 3 to 5)."""
    total = (y * inverse).sum(dim=1, keepdim=True)
    share = inverse / torch.where(total > 0, total, 1.0)
    mapped = torch.sigmoid(settings.beta * (share - settings.mu))
    # A row without positives: the limit of ever rarer ones.
    return settings.floor + torch.where(total > 0, mapped, 1.0)


def distribution_balanced_values(inverse: Tensor, prior: Tensor, settings: Settings) -> Values:
    """The weight times focal loss of x + nu for yes, of s (x + nu) over s for no (eq. 9)."""
    focal, scale = power(settings.gamma) * nll, settings.negative_scale

    def values(at: Point, y: Tensor) -> Tensor:
        weight = rebalancing_weight(y, along_classes(inverse, y), settings)
        shifted = at.margin + (settings.kappa / scale) * along_classes(prior, y)
        yes = focal.evaluate(type(at)(shifted))
        no = focal.evaluate(type(at)(-scale * shifted)) / scale
        return weight * (y * yes + (1.0 - y) * no)

    return values


def class_statistics(
    counts: Tensor | Sequence[float], num_samples: int | None
) -> tuple[Tensor, Tensor]:
    """1/n_j up to a factor, and the log odds of each class; finite for any counts."""
    amounts = check_counts(counts)
    total = float(amounts.sum()) if num_samples is None else float(num_samples)
    if amounts.max() > total:
        fail("num_samples", "at least the largest count", num_samples, "count training samples")
    total = max(total, 2.0)
    present = amounts.clamp(1.0, total - 1.0)
    inverse = inverse_frequency_weights(counts, dtype=torch.float64)
    return inverse, torch.log(present / (total - present))


def distribution_balanced_loss(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor | Sequence[float],
    num_samples: int | None = None,
    floor: float = 0.1,
    beta: float = 10.0,
    mu: float = 0.2,
    kappa: float = 0.05,
    negative_scale: float = 2.0,
    gamma: float = 2.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Distribution-balanced focal loss, re-weighted by row and tolerant of negatives.

    The functional form of `DistributionBalancedLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> logits, target = torch.tensor([[1.0, -1.0]]), torch.tensor([[1, 0]])
        >>> distribution_balanced_loss(logits, target, counts=[90, 10])
        tensor(0.0113)
    """
    settings = Settings(floor, beta, mu, kappa, negative_scale, gamma)
    inverse, prior = class_statistics(counts, num_samples)
    check_fit(prior, input)
    return element_loss(
        input,
        target,
        distribution_balanced_values(inverse, prior, settings),
        Options(
            link="sigmoid",
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class DistributionBalancedLoss(nn.Module):
    r"""Distribution-balanced focal loss, re-weighted by row and tolerant of negatives.

    Two remedies for multi-label data sampled class by class. *Re-balancing*: labels occur together,
    so that sampling for one class repeats others; the weight floor + sigmoid(beta (r - mu)) undoes
    it, with r = (1 / n_j) / (sum of 1 / n_k over the row's positives). *Negative tolerance*: the
    logit is shifted by nu_j, low for rare classes, and that of a negative also multiplied by
    `negative_scale` s (and its loss divided by s), so that a negative's gradient fades as soon as
    it is on the right side; a rare class is nearly always a negative.

    Args:
        counts: positives per class in the training set (`taylored.class_counts`). A class without any
            counts as one, with a warning.
        num_samples: training samples N, at least the largest count. Raising it lowers nu. None: the
            sum of the counts, which is N only for one label a sample.
        floor: smallest weight, >= 0 (the paper's alpha). Raising it evens the weights out.
        beta: steepness of the weight in r, >= 0. Raising it separates over- and under-sampled.
        mu: r at which the weight is halfway. Raising it lowers the weight of frequent labels.
        kappa: >= 0; nu_j is -kappa / s times log(N / n_j - 1). Raising it shifts rare classes more.
        negative_scale: s > 0. Raising it lets negatives go sooner; 1 treats both sides alike.
        gamma: focusing, >= 0, of the scaled and shifted logit. Raising it silences easy ones.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target of the shape of `input` with 0 / 1 or probabilities, or
        (N, d1, ...) class indices. The call also takes `sample_weight` and `normalizer`.

    Returns:
        A scalar, or with reduction="none" one value per element, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = DistributionBalancedLoss(counts=[90, 10], num_samples=95)
        >>> loss(torch.tensor([[1.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.0109)

    Rows without positives get the largest weight, floor + 1, the limit of ever rarer positives.
    Inference: the plain sigmoid of the logits; the shift belongs to training.

    Differs from:
        wutong16/DistributionBalancedLoss: ResampleLoss(reweight_func='rebalance'): equal up to its
            balance_param = 2, a factor on everything. Defaults here are those of its COCO config;
            its VOC config has mu=0.3, negative_scale=5, and the defaults of its class (alpha 10,
            beta 0.2) appear in neither. It adds the shift to the network's output in place, and a
            class without positives makes its loss NaN.

    Reference:
        Wu et al., Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed
        Datasets, ECCV 2020, equations 3 to 9.
    """

    counts: Tensor
    inverse: Tensor
    prior: Tensor
    weight: Tensor | None

    def __init__(
        self,
        *,
        counts: Tensor | Sequence[float],
        num_samples: int | None = None,
        floor: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        kappa: float = 0.05,
        negative_scale: float = 2.0,
        gamma: float = 2.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self._settings = Settings(floor, beta, mu, kappa, negative_scale, gamma)
        inverse, prior = class_statistics(counts, num_samples)
        self.num_samples = num_samples
        self.floor = floor
        self.beta = beta
        self.mu = mu
        self.kappa = kappa
        self.negative_scale = negative_scale
        self.gamma = gamma
        self.ignore_index = ignore_index
        self.reduction = reduction
        default = torch.get_default_dtype()
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("inverse", inverse.to(default))
        self.register_buffer("prior", prior.to(default))
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def link(self) -> LinkName:
        """How logits become probabilities."""
        return "sigmoid"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        check_fit(self.prior, input)
        return element_loss(
            input,
            target,
            distribution_balanced_values(self.inverse, self.prior, self._settings),
            Options(
                link=self.link,
                weight=self.weight,
                ignore_index=self.ignore_index,
                reduction=self.reduction,
                sample_weight=sample_weight,
                normalizer=normalizer,
            ),
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="distribution_balanced",
    family="multi-label",
    module=DistributionBalancedLoss,
    function=distribution_balanced_loss,
    summary="multi-label focal loss, re-weighted by which labels occur together; early negatives",
    formula=(
        r"\hat r \left[y\,\mathrm{FL}(x + \nu) + (1-y) \tfrac{1}{s} \mathrm{FL}(-s(x + \nu))\right]"
        r",\quad \hat r = \alpha + \sigma(\beta(r - \mu))"
    ),
    parameters=(
        Parameter(
            "counts",
            REQUIRED,
            "one number >= 0 per class",
            "positives per class in the training set; taken from the data where that is known",
        ),
        Parameter(
            "num_samples",
            None,
            "whole number, at least the largest count",
            "training samples; None: the sum of the counts; raising it shifts the logits down",
        ),
        Parameter(
            "floor",
            0.1,
            "number >= 0",
            "smallest weight; raising it evens the weights out",
            Search(0.0, 1.0),
        ),
        Parameter(
            "beta",
            10.0,
            "number >= 0",
            "steepness of the weight; raising it separates over- and under-sampled labels",
            Search(1.0, 20.0),
        ),
        Parameter(
            "mu",
            0.2,
            "number",
            "where the weight is halfway; raising it lowers the weight of frequent labels",
            Search(0.1, 0.5),
        ),
        Parameter(
            "kappa",
            0.05,
            "number >= 0",
            "strength of the shift; raising it shifts the logits of rare classes more",
            Search(0.0, 0.2),
        ),
        Parameter(
            "negative_scale",
            2.0,
            "number > 0",
            "factor on a negative's logit; raising it lets negatives go sooner",
            Search(1.0, 10.0),
        ),
        Parameter(
            "gamma",
            2.0,
            "number >= 0",
            "focusing; raising it silences easy samples sooner",
            Search(0.0, 5.0),
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements",
    reference=Reference(
        "Wu, Huang, Liu, Wang, Lin",
        "Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed Datasets",
        "ECCV 2020",
        "equations 3 to 9",
    ),
    differs=(
        (
            "wutong16/DistributionBalancedLoss",
            "ResampleLoss(reweight_func='rebalance'): equal up to its balance_param = 2, a factor "
            "on everything. Defaults here are those of its COCO config; its VOC config has mu=0.3, "
            "negative_scale=5, and the defaults of its class (alpha 10, beta 0.2) appear in "
            "neither. It adds the shift to the network's output in place, and a class without "
            "positives makes its loss NaN",
        ),
    ),
    examples=(
        "distribution_balanced()",
        "distribution_balanced(num_samples=2000, mu=0.3, negative_scale=5, gamma=0.5)",
    ),
    needs=frozenset({"counts"}),
)
