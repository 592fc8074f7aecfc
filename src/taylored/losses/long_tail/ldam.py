"""LDAM: cross-entropy with a margin on the true class that is largest for the rarest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.class_counts import inverse_frequency_weights
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import PerClass, Reduction
from taylored.core.terms.point import Point
from taylored.core.terms.power_series import Series
from taylored.core.terms.term import Pick, Term
from taylored.losses.classification.term import term_loss
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import check_fit, softmax_of
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


@dataclass(frozen=True, eq=False, repr=False)
class MarginLogLikelihood(Term):
    """-log sigmoid(x - m) with p = sigmoid(x): cross-entropy after m is taken off the true logit.

    The margin moves the log odds of the truth and nothing else, so that the loss still is a
    function of p_t alone: log(p + e^m q) - log p.
    """

    margin: Tensor

    def evaluate(self, at: Point) -> Tensor:
        """-log p of the moved point."""
        return -self._moved(at).log_p

    def evaluate_with_slope(self, at: Point) -> tuple[Tensor, Tensor]:
        """-log p and q of the moved point."""
        moved = self._moved(at)
        return -moved.log_p, moved.q

    def _moved(self, at: Point) -> Point:
        return Point(at.margin - self.margin)

    def bind(self, pick: Pick) -> Term:
        """With the margin of each position's class."""
        return MarginLogLikelihood(pick(self.margin))

    def parameters(self) -> tuple[Tensor, ...]:
        """The margins."""
        return (self.margin,)

    def series(self, order: int) -> Series:
        """None: its series has a radius of e^-m and says nothing about usual p_t."""
        fail("term", "one with a power series in 1 - p_t", repr(self), "use cross_entropy's")

    def __repr__(self) -> str:
        return "log(1 + e^m (1-p)/p)"


def ldam_margins(
    counts: Tensor | Sequence[float], max_m: float, *, dtype: torch.dtype | None = None
) -> Tensor:
    """n^(-1/4), scaled so that the rarest class has max_m (Cao et al. 2019)."""
    in_range("max_m", max_m, 0.0, math.inf, "0.5 is the published choice; 0 is no margin",
             interval="[)")  # fmt: skip
    root = inverse_frequency_weights(counts, power=0.25, dtype=torch.float64)
    return (max_m * root / root.max()).to(dtype or torch.get_default_dtype())


def _check_scale(scale: float) -> None:
    in_range("scale", scale, 0.0, math.inf, "30 is the published choice", interval="()")


def ldam_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: Tensor | Sequence[float],
    max_m: float = 0.5,
    scale: float = 30.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""LDAM, :math:`-\log \left(e^{s (z_t - m_t)} / (e^{s (z_t - m_t)} + \sum e^{s z_k})\right)`.

    The functional form of `LDAMLoss`, which documents the parameters. It works out the margins at
    every call; the module does so once.

    Example:
        >>> import torch
        >>> cosines, truth = torch.tensor([[0.3, 0.3]]), torch.tensor([1])
        >>> ldam_loss(cosines, truth, counts=[160, 10], max_m=0.5, scale=4.0)
        tensor(2.1269)
    """
    _check_scale(scale)
    margins = ldam_margins(counts, max_m, dtype=torch.float64)
    check_fit(margins, input)
    return term_loss(
        input,
        target,
        MarginLogLikelihood(scale * margins),
        temperature=1.0 / scale,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )


class LDAMLoss(nn.Module):
    r"""LDAM, :math:`-\log \left(e^{s (z_t - m_t)} / (e^{s (z_t - m_t)} + \sum e^{s z_k})\right)`.

    The truth has to win by a margin m_k that falls with the fourth root of its class's count: few
    samples need a wide margin to generalise. For logits that are cosines, of a
    `taylored.CosineClassifier`; on unbounded logits a margin can be bought by larger weights.
    `deferred(ldam())` in the catalogue is LDAM-DRW, the published training.

    Args:
        counts: training samples per class (`taylored.class_counts`). A class without samples counts as
            one, with a warning.
        max_m: margin of the rarest class, >= 0; the others' are smaller by (n / n_min)^(1/4).
            Raising it favours rare classes more. 0 is cross-entropy of scaled logits.
        scale: > 0, multiplies logits and margins. Cosines lie in [-1, 1]; raising it lets the
            probabilities come closer to 0 and 1.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits, not yet scaled; target (N, d1, ...) class indices or
        probabilities of the shape of `input`, for which the loss is the expected one: each class
        takes its own margin where it is the truth. The call also takes `sample_weight` and
        `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> from taylored import CosineClassifier
        >>> loss = LDAMLoss(counts=[160, 10])
        >>> loss.margins
        tensor([0.2500, 0.5000])
        >>> cosines = CosineClassifier(8, 2)(torch.ones(4, 8))
        >>> loss(cosines, torch.tensor([0, 0, 0, 1])).isfinite()
        tensor(True)
        >>> loss.predict(torch.tensor([[0.1, 0.2]]))
        tensor([[0.0474, 0.9526]])

    Inference: softmax of scale times the logits, `predict`; the margins belong to training.

    Differs from:
        kaidic/LDAM-DRW: equal for class indices; runs on CUDA only, with masks of a deprecated
            type. There a class without samples gets a NaN and all others no margin. Its
            NormedLinear is `CosineClassifier`.

    Reference:
        Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
        NeurIPS 2019, the LDAM loss with cross-entropy.
    """

    counts: Tensor
    margins: Tensor
    weight: Tensor | None

    def __init__(
        self,
        *,
        counts: Tensor | Sequence[float],
        max_m: float = 0.5,
        scale: float = 30.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        _check_scale(scale)
        self.max_m = max_m
        self.scale = scale
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("margins", ldam_margins(counts, max_m))
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """The loss as a term of the probability of the scaled logits."""
        return MarginLogLikelihood(self.scale * self.margins)

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "softmax"

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        check_fit(self.margins, input)
        return term_loss(
            input,
            target,
            self.term,
            temperature=1.0 / self.scale,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def predict(self, input: Tensor) -> Tensor:
        """Probabilities of the classes: the softmax of the scaled logits, without margins."""
        return softmax_of(input, self.scale)

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="ldam",
    family="long-tail",
    module=LDAMLoss,
    function=ldam_loss,
    summary="cross-entropy with a margin on the true class that grows as its count falls",
    formula=r"-\log \frac{e^{s (z_t - m_t)}}{e^{s (z_t - m_t)} + \sum_{k \ne t} e^{s z_k}},"
    r"\quad m_k \propto n_k^{-1/4}",
    parameters=(
        Parameter(
            "max_m",
            0.5,
            "number >= 0",
            "margin of the rarest class; raising it favours rare classes",
            Search(0.1, 1.0),
        ),
        Parameter(
            "scale",
            30.0,
            "number > 0",
            "multiplies logits and margins; raising it sharpens the probabilities",
            Search(8.0, 64.0, "log"),
        ),
        Parameter(
            "counts",
            REQUIRED,
            "one number >= 0 per class",
            "training samples per class; taken from the data where that is known",
        ),
    ),
    shared=("weight", "ignore_index", "label_smoothing", "reduction"),
    links=("softmax",),
    targets=("index", "probabilities"),
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions",
    reference=Reference(
        "Cao, Wei, Gaidon, Arechiga, Ma",
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        "NeurIPS 2019",
        "the LDAM loss with cross-entropy",
    ),
    differs=(
        (
            "kaidic/LDAM-DRW",
            "equal for class indices; runs on CUDA only, with masks of a deprecated type. There a "
            "class without samples gets a NaN and all others no margin. Its NormedLinear is "
            "`CosineClassifier`",
        ),
    ),
    examples=(
        "ldam(scale=4)",
        "ldam(max_m=0.3, scale=2, label_smoothing=0.1)",
    ),
    identities=(("ldam(max_m=0, scale=1)", "cross_entropy()"),),
    needs=frozenset({"counts"}),
    head="cosine",
)
