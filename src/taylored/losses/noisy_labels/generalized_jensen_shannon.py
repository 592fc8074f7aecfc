"""Generalised Jensen-Shannon loss: label and several predictions of a sample, all to agree."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.engine.elementwise import own
from taylored.core.engine.elementwise_pass import loss_of
from taylored.core.inputs.targets import check_input
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.plan.plan import computing_dtype
from taylored.core.terms.noise_robust import jensen_shannon
from taylored.core.terms.point import Point
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def disagreement(log_p: Tensor, log_mean: Tensor) -> Tensor:
    """Mean of KL(p_m || mean of the p_m), per position."""
    return (torch.exp(log_p) * (log_p - log_mean)).sum(dim=2).mean(dim=0)


def generalized_jensen_shannon_loss(
    input: Tensor,
    target: Tensor,
    *,
    pi: float = 0.5,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""GJS: divergence of a label and M predictions of the same sample from their mixture.

    The functional form of `GeneralizedJensenShannonLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> views = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
        >>> generalized_jensen_shannon_loss(views, torch.tensor([0]))
        tensor(0.8092)
    """
    term = jensen_shannon(pi)
    logits = _views(input, target, ignore_index)
    log_p = torch.log_softmax(logits, dim=2)
    log_mean = torch.logsumexp(log_p, dim=0) - math.log(len(logits))
    options = Options(
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )
    # The softmax of the mean's logarithm is the mean.
    given = own(log_mean, target, options)
    apart = disagreement(log_p, log_mean).reshape(given.logits[:, 0].shape).unsqueeze(1)

    def values(at: Point, y: Tensor, apart: Tensor) -> Tensor:
        return y * (term.evaluate(at) - apart / math.log1p(-pi))

    return loss_of(log_mean, replace(given, beside=(apart,)), values)


def _views(input: Tensor, target: Tensor, ignore_index: int | None) -> Tensor:
    """The stacked logits in the dtype to compute in; 0 where ignored."""
    check_input(input)
    if input.dim() < 3 or input.shape[0] == 0:
        fail(
            "input",
            "logits of M >= 1 predictions, stacked: (M, N, C, d1, ...)",
            f"shape {tuple(input.shape)}",
            "use torch.stack([model(view) for view in views])",
        )
    logits = input.to(computing_dtype(input))
    index = isinstance(target, Tensor) and not target.is_floating_point()
    if ignore_index is None or not index or target.dim() != input.dim() - 2:
        return logits
    return torch.where((target.long() != ignore_index).unsqueeze(1), logits, 0.0)


class GeneralizedJensenShannonLoss(nn.Module):
    r"""GJS: divergence of a label and M predictions of the same sample from their mixture.

    With c = 1 - pi, weights c / M for the predictions and m = pi y + (c / M) sum p_i, it is
    (pi KL(y || m) + (c / M) sum KL(p_i || m)) / (-c log c). That is the Jensen-Shannon loss of the
    mean prediction, plus (1 / -log c) times how far the predictions are from their mean: it asks
    for the label and for consistency, and a noisy label cannot buy the latter off. With M = 1 it is
    `JensenShannonLoss`.

    Args:
        pi: weight of the label in the mixture, in (0, 1). Raising it forgives badly wrong samples
            more, and weighs consistency less.
        weight: one number per class; raising a class's weight favours it, in both parts.
        ignore_index: positions with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (M, N, C, d1, ...) logits, the M predictions (of views, augmentations or dropout)
        stacked; target (N, d1, ...) class indices, or probabilities (N, C, d1, ...). The call also
        takes `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position, bounded; float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = GeneralizedJensenShannonLoss(pi=0.3)
        >>> view, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> truth = torch.tensor([0])
        >>> loss(torch.stack([view, view]), truth), loss(torch.stack([view, other]), truth)
        (tensor(0.1256), tensor(1.1101))

    Soft targets: the loss is sum_k y_k phi(p_k) plus the consistency, the expected loss under the
    target, not the divergence from the soft label itself.

    Differs from:
        ErikEnglesson/GJS: JensenShannonDivergenceWeightedScaled(weights='pi (1-pi)/M ...'): equal,
            up to its clamp of probabilities at 1e-7 before the logarithms; takes a list of M
            predictions and class indices.
        timm: JsdCrossEntropy: cross-entropy of the first view plus 12 times the consistency alone,
            with the views one after the other in the batch (AugMix).

    Reference:
        Englesson and Azizpour, Generalized Jensen-Shannon Divergence Loss for Learning with Noisy
        Labels, NeurIPS 2021, equations 5 to 7.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        pi: float = 0.5,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.pi = pi
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)
        jensen_shannon(pi)

    @property
    def link(self) -> LinkName:
        """How logits become probabilities."""
        return "softmax"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of stacked predictions against one target per sample."""
        return generalized_jensen_shannon_loss(
            input,
            target,
            pi=self.pi,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="generalized_jensen_shannon",
    family="noise-robust",
    module=GeneralizedJensenShannonLoss,
    function=generalized_jensen_shannon_loss,
    summary="divergence of a label and several predictions of the sample from their mixture",
    formula=(
        r"\frac{\pi\,\mathrm{KL}(y\,\|\,m) + \frac{1-\pi}{M} \sum_i \mathrm{KL}(p_i\,\|\,m)}"
        r"{-(1-\pi)\log(1-\pi)},\quad m = \pi y + \frac{1-\pi}{M} \sum_i p_i"
    ),
    parameters=(
        Parameter(
            "pi",
            0.5,
            "number in (0, 1), from 1e-9 to 1 - 1e-9",
            "weight of the label; raising it forgives wrong labels more, and asks less consistency",
            Search(0.05, 0.95),
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("softmax",),
    targets=("index", "probabilities"),
    value_range="that of jensen_shannon, plus log M / -log(1 - pi)",
    denominator="index: sum of the targets' weights; probabilities: positions",
    reference=Reference(
        "Englesson, Azizpour",
        "Generalized Jensen-Shannon Divergence Loss for Learning with Noisy Labels",
        "NeurIPS 2021",
        "equations 5 to 7",
    ),
    differs=(
        (
            "ErikEnglesson/GJS",
            "JensenShannonDivergenceWeightedScaled(weights='pi (1-pi)/M ...'): equal, up to its "
            "clamp of probabilities at 1e-7 before the logarithms; takes a list of M predictions "
            "and class indices",
        ),
        (
            "timm",
            "JsdCrossEntropy: cross-entropy of the first view plus 12 times the consistency alone, "
            "with the views one after the other in the batch (AugMix)",
        ),
    ),
    examples=("generalized_jensen_shannon(pi=0.3)",),
    call="stacked",
)
