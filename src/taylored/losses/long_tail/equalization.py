"""Equalization loss (EQL v1): rare classes are spared the gradients of other classes' samples."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.class_weights import check_counts
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input, one_hot, sigmoid_kind, softmax_kind
from taylored.core.numerics import computing_dtype, harmless, without_offset
from taylored.core.plan.options import LinkName, Options, PerClass
from taylored.core.plan.sample_weight import per_element_weight
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.class_axis import class_axis
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, Link, WeightedBackgroundCall, WeightedLoss

__all__ = ["EqualizationLoss", "equalization_loss"]


def rare_classes(counts: PerClass, num_samples: float | None, threshold: float) -> Tensor:
    """Whether a class occurs in less than `threshold` of the samples."""
    amounts = check_counts(counts)
    total = amounts.sum() if num_samples is None else num_samples
    return amounts < threshold * total


def _sparing(input: Logits, target: Tensor, rare: Tensor, gamma: float, options: Options) -> Tensor:
    """Cross-entropy with w_ij = 1 - E_i T_j (1 - y_ij) (Tan et al. 2020)."""
    logits = check_input(input)
    if _every_position_has_a_class(logits, target, options):
        # So that a rare class counts for nothing where it is not the truth.
        kept = (~rare).to(computing_dtype(logits))
        return p_t_loss(logits, target, nll, options._replace(neg_weight=kept))
    truth, real = _truth(logits, target, options)
    spared = rare.to(logits.device).reshape(-1, *[1] * (logits.dim() - 2)) & real
    if options.link == "softmax":
        if gamma < 1.0:
            spared = spared & (torch.rand(logits.shape, device=logits.device) < gamma)
        # log w, which is 0 or log y: the difference 1 - (1 - y) would lose a small y.
        share = torch.log(torch.where(spared, truth, 1.0))
        moved = without_offset(logits.to(truth.dtype), class_axis(logits)) + share
        return p_t_loss(moved, target, nll, options)
    weight = torch.where(spared, truth, 1.0)
    if options.sample_weight is not None:
        given = per_element_weight(options.sample_weight, logits)
        weight = harmless(weight * given, given == 0)
    return p_t_loss(logits, target, nll, options._replace(sample_weight=weight))


def _every_position_has_a_class(logits: Tensor, target: Tensor, options: Options) -> bool:
    if options.link != "sigmoid" or options.background_index is not None:
        return False
    return sigmoid_kind(logits, target, None) == "index"


def _truth(logits: Tensor, target: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Mass of each class in the target, and whether a position has a true class at all."""
    if options.link == "softmax":
        kind = softmax_kind(logits, target)
    else:
        kind = sigmoid_kind(logits, target, options.background_index)
    dtype, axis = computing_dtype(logits), class_axis(logits)
    if kind == "index":
        hot = one_hot(target, logits)
        real = torch.ones_like(hot.narrow(axis, 0, 1))
        if options.background_index is not None:
            real = (target != options.background_index).unsqueeze(axis)
        return (hot & real).to(dtype), real
    truth = target.detach().to(dtype)
    if options.ignore_index is not None and target.dtype != torch.bool:
        truth = torch.where(target == options.ignore_index, 0.0, truth)
    if logits.dim() == 1 and options.link == "sigmoid":
        return truth, truth > 0
    return truth, (truth > 0).any(dim=axis, keepdim=True)


class EqualizationLoss(WeightedLoss, BackgroundLoss):
    r"""Equalization loss (EQL v1), :math:`-w_{ij}\,(y \log p + (1 - y) \log (1 - p))`.

    w_ij = 0 where class j is rare and sample i belongs to another class, else 1: rare classes are
    not pushed down by the samples of frequent ones. Background samples, which belong to no class,
    push all classes down (w = 1). Without background samples nothing ever pushes a rare class
    down, and it wins everywhere: for plain classification take the softmax form (SEQL), which
    leaves rare classes out of the denominator, at random with probability gamma. The published
    loss divides by the number of samples: reduction="batch_mean".

    Example:
        >>> import torch
        >>> loss = EqualizationLoss(counts=[9, 1], threshold=0.2, reduction="batch_mean")
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(1.0397)

    Inference: `predict` is yes where the logit is positive, or the largest logit.
    """

    unreadable = "rare classes are not trained on most samples, and what they miss is not known"
    link: Link = "sigmoid"
    counts: Annotated[
        PerClass,
        About(
            "training samples per class (`taylored.class_counts`), for detection the *images* that "
            "contain the class",
            within="[0, inf)",
            fix="use taylored.class_counts(targets)",
            needs="counts",
        ),
    ]
    num_samples: Annotated[
        float | None,
        About(
            "what the counts are fractions of (images, for detection); None is their sum",
            within="(0, inf)",
        ),
    ] = None
    threshold: Annotated[
        float,
        About(
            "fraction of samples below which a class is rare; raising it spares more classes",
            within="[0, 1]",
            fix="0.00177 was published for LVIS v0.5",
            search=(0.0001, 0.05, "log"),
        ),
    ] = 0.00177
    gamma: Annotated[
        float,
        About(
            "softmax form: probability that a rare class is spared, drawn anew for every element, "
            "in training mode only; raising it spares more",
            within="[0, 1]",
        ),
    ] = 0.9

    def derive(self) -> None:
        """Which classes are rare."""
        rare = rare_classes(self.counts, self.num_samples, self.threshold)
        self.rare = nn.Buffer(rare, persistent=False)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss with the rare classes spared; the softmax form spares them in training only."""
        if options.link == "softmax" and not self.training:
            return p_t_loss(check_input(input), target, nll, options)
        return _sparing(input, target, self.rare, self.gamma, options)


@function_of(EqualizationLoss)
def equalization_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: PerClass,
    num_samples: float | None = None,
    threshold: float = 0.00177,
    gamma: float = 0.9,
    link: LinkName = "sigmoid",
    **shared: Unpack[WeightedBackgroundCall],
) -> Tensor:
    r"""Equalization loss, :math:`-w_{ij}\,(y \log p + (1 - y) \log (1 - p))`.

    The random choices of the softmax form are always drawn.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2), torch.tensor([0])
        >>> equalization_loss(logits, truth, counts=[9, 1], threshold=0.2, reduction="none")
        tensor([[0.6931, 0.0000]])
    """
    rare = rare_classes(counts, num_samples, threshold)
    options = Options(link=link, **shared)
    return _sparing(input, target, rare, gamma, options)


SPEC = spec_of(
    "equalization",
    EqualizationLoss,
    equalization_loss,
    summary="cross-entropy that spares rare classes the samples of others (EQL v1, SEQL)",
    formula=r"-w_{ij}\,(y \log p + (1 - y) \log (1 - p)),\quad w_{ij} = 1 - E_i T_j (1 - y_{ij})",
    reference=Reference(
        "Tan, Wang, Li, Li, Ouyang, Yin, Yan",
        "Equalization Loss for Long-Tailed Object Recognition",
        "CVPR 2020",
        "arXiv 2003.05176",
    ),
    differs={
        "tztztztztz/eql.detectron2": "equal with reduction='batch_mean', background_index=C and "
        "the images per class as counts",
        "softmax forms in the wild": "exponentiate raw logits, which overflows; here the weights "
        "are added to the logits as logarithms",
    },
    examples=(
        "equalization(threshold=0.05)",
        'equalization(threshold=0.05, gamma=1, link="softmax")',
    ),
    identities={
        "equalization(threshold=0)": "binary_cross_entropy()",
        'equalization(threshold=0, link="softmax")': "cross_entropy()",
    },
)
