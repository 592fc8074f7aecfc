"""Equalization loss (EQL v1): rare classes are spared the gradients of other classes' samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.class_counts import check_counts
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.targets import check_input, one_hot, sigmoid_kind, softmax_kind
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.plan.plan import computing_dtype
from taylored.core.plan.sample_weight import per_element_weight
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import softmax_of
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


def equalization_loss(
    input: Tensor,
    target: Tensor,
    *,
    counts: PerClass,
    num_samples: float | None = None,
    threshold: float = 0.00177,
    gamma: float = 0.9,
    background_index: int | None = None,
    link: LinkName = "sigmoid",
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Equalization loss, :math:`-w_{ij}\,(y \log p + (1 - y) \log (1 - p))`.

    The functional form of `EqualizationLoss`, which documents the parameters; the random choices
    of the softmax form are always drawn.

    Example:
        >>> import torch
        >>> logits, truth = torch.zeros(1, 2), torch.tensor([0])
        >>> equalization_loss(logits, truth, counts=[9, 1], threshold=0.2, reduction="none")
        tensor([[0.6931, 0.0000]])
    """
    check_input(input)
    rare = rare_classes(counts, num_samples, threshold).to(input.device)
    options = Options(
        link=link,
        weight=weight,
        ignore_index=ignore_index,
        background_index=background_index,
        reduction=reduction,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )
    return _sparing(input, target, rare, gamma, options)


def rare_classes(counts: PerClass, num_samples: float | None, threshold: float) -> Tensor:
    """Whether a class occurs in less than `threshold` of the samples."""
    amounts = check_counts(counts)
    total = amounts.sum() if num_samples is None else num_samples
    return amounts < threshold * total


def _sparing(input: Tensor, target: Tensor, rare: Tensor, gamma: float, options: Options) -> Tensor:
    """Cross-entropy with the rare classes spared where another class is the truth."""
    if rare.numel() not in (1, input.shape[1] if input.dim() > 1 else 1):
        fail(
            "counts",
            f"one number per class: {input.shape[1]} for this input",
            rare.numel(),
            "give one count per column of axis 1 of `input`",
        )
    truth, real = _truth(input, target, options)
    spared = rare.reshape(-1, *[1] * (input.dim() - 2)) & real
    if options.link == "softmax":
        if gamma < 1.0:
            spared = spared & (torch.rand(input.shape, device=input.device) < gamma)
        # log w: nothing where w is 1, and as good as -inf where it is 0.
        share = torch.log(1.0 - spared * (1.0 - truth)).clamp_min(torch.finfo(truth.dtype).min)
        return p_t_loss(input.to(truth.dtype) + share, target, nll, options)
    weight = 1.0 - spared * (1.0 - truth)
    if options.sample_weight is not None:
        weight = weight * per_element_weight(options.sample_weight, input)
    return p_t_loss(input, target, nll, options._replace(sample_weight=weight))


def _truth(input: Tensor, target: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Mass of each class in the target, and whether a position has a true class at all."""
    kind_of = softmax_kind if options.link == "softmax" else sigmoid_kind
    kind = kind_of(input, target)
    dtype = computing_dtype(input)
    if kind == "index":
        hot = one_hot(target, input)
        real = torch.ones_like(hot[:, :1])
        if options.background_index is not None:
            real = (target != options.background_index).unsqueeze(1)
        return (hot & real).to(dtype), real
    truth = target.detach().to(dtype)
    if options.ignore_index is not None and target.dtype != torch.bool:
        truth = torch.where(target == options.ignore_index, 0.0, truth)
    if input.dim() == 1:
        return truth, truth > 0
    return truth, (truth > 0).any(dim=1, keepdim=True)


class EqualizationLoss(nn.Module):
    r"""Equalization loss (EQL v1), :math:`-w_{ij}\,(y \log p + (1 - y) \log (1 - p))`.

    w_ij = 0 where class j is rare and sample i belongs to another class, else 1: rare classes are
    not pushed down by the samples of frequent ones. Background samples, which belong to no class,
    push all classes down (w = 1). Without background samples nothing ever pushes a rare class
    down, and it wins everywhere: for plain classification take the softmax form (SEQL), which
    leaves rare classes out of the denominator, at random with probability gamma.

    Args:
        counts: training samples per class; for detection the *images* that contain the class.
        num_samples: what the counts are fractions of (for detection the number of images). Default:
            their sum.
        threshold: fraction of samples below which a class is rare; raising it spares more classes.
            0.00177 was published for LVIS v0.5.
        gamma: softmax form: probability, in [0, 1], that a rare class is spared; raising it spares
            rare classes more. Drawn anew for every element, in training mode only.
        background_index: class-index target that means none of the classes, a row of negatives;
            sigmoid only.
        link: "sigmoid" (EQL) or "softmax" (SEQL).
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions (class-index targets) or elements with this target count for
            nothing. None switches it off.
        reduction: "none", "sum", "mean" or "batch_mean". The published loss divides by the number
            of samples: "batch_mean".

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices or the shape of `input` with
        probabilities or, with the sigmoid link, 0 / 1. `sample_weight` and `normalizer` as
        everywhere.

    Returns:
        A scalar, or with reduction="none" one value per element (sigmoid) or position (softmax).

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = EqualizationLoss(counts=[9, 1], threshold=0.2, reduction="batch_mean")
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(1.0397)

    Inference: the plain sigmoid (or softmax) of the logits, `predict`.

    Differs from:
        tztztztztz/eql.detectron2: equal with reduction='batch_mean', background_index=C and the
            images per class as counts.
        softmax forms in the wild: exponentiate raw logits, which overflows; here the weights are
            added to the logits as logarithms.

    Reference:
        Tan et al., Equalization Loss for Long-Tailed Object Recognition, CVPR 2020,
        arXiv 2003.05176.
    """

    counts: Tensor
    rare: Tensor
    weight: Tensor | None

    def __init__(
        self,
        *,
        counts: PerClass,
        num_samples: float | None = None,
        threshold: float = 0.00177,
        gamma: float = 0.9,
        background_index: int | None = None,
        link: LinkName = "sigmoid",
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        in_range("threshold", threshold, 0.0, 1.0, "give a fraction of the samples")
        in_range("gamma", gamma, 0.0, 1.0, "give a probability")
        if num_samples is not None:
            in_range("num_samples", num_samples, 0.0, float("inf"), "count them", interval="()")
        self.num_samples = num_samples
        self.threshold = threshold
        self.background_index = background_index
        self.link = link
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("rare", rare_classes(counts, num_samples, threshold), persistent=False)
        hold(self, "weight", weight)
        check_fields(self, link)
        # After the check of the shared fields: here the name means a probability.
        self.gamma = float(gamma)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        check_input(input)
        options = Options(
            link=self.link,
            weight=self.weight,
            ignore_index=self.ignore_index,
            background_index=self.background_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )
        if self.link == "softmax" and not self.training:
            return p_t_loss(input, target, nll, options)
        return _sparing(input, target, self.rare, self.gamma, options)

    def predict(self, input: Tensor) -> Tensor:
        """Probability of each class (axis 1)."""
        return softmax_of(input) if self.link == "softmax" else torch.sigmoid(input)

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="equalization",
    family="long-tail",
    module=EqualizationLoss,
    function=equalization_loss,
    summary="cross-entropy that spares rare classes the samples of others (EQL v1, SEQL)",
    formula=(
        r"-w_{ij}\,(y \log p + (1 - y) \log (1 - p)),\quad w_{ij} = 1 - E_i\, T_j\, (1 - y_{ij})"
    ),
    parameters=(
        Parameter(
            "counts",
            REQUIRED,
            "one number >= 0 per class",
            "samples (images) per class; taken from the data where that is known",
        ),
        Parameter(
            "num_samples",
            None,
            "number > 0 or None",
            "what the counts are fractions of; None is their sum",
        ),
        Parameter(
            "threshold",
            0.00177,
            "number in [0, 1]",
            "fraction below which a class is rare; raising it spares more classes",
            Search(0.0001, 0.05, "log"),
        ),
        Parameter(
            "gamma",
            0.9,
            "number in [0, 1]",
            "softmax form: probability that a rare class is spared; raising it spares more",
        ),
        Parameter(
            "background_index",
            None,
            "whole number or None",
            "class-index target that means none of the classes: a row of negatives (sigmoid only)",
        ),
    ),
    shared=("link", "weight", "ignore_index", "reduction"),
    links=("sigmoid", "softmax"),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="that of cross-entropy; the official code divides by samples (batch_mean)",
    reference=Reference(
        "Tan, Wang, Li, Li, Ouyang, Yin, Yan",
        "Equalization Loss for Long-Tailed Object Recognition",
        "CVPR 2020",
        "arXiv 2003.05176",
    ),
    differs=(
        (
            "tztztztztz/eql.detectron2",
            "equal with reduction='batch_mean', background_index=C and the images per class as "
            "counts",
        ),
        (
            "softmax forms in the wild",
            "exponentiate raw logits, which overflows; here the weights are added to the logits as "
            "logarithms",
        ),
    ),
    examples=(
        "equalization(threshold=0.05)",
        'equalization(threshold=0.05, gamma=1, link="softmax")',
    ),
    identities=(
        ("equalization(threshold=0)", "binary_cross_entropy()"),
        ('equalization(threshold=0, link="softmax")', "cross_entropy()"),
    ),
    needs=frozenset({"counts"}),
)
