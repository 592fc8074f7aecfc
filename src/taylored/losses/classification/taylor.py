"""Taylor loss: the first terms of the cross-entropy series."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.cache import remembered
from taylored.core.terms.elementary import truncated
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


@remembered
def taylor_term(num_terms: int) -> Term:
    """Sum of (1 - p)^j / j for j up to num_terms (Feng et al. 2020, equation 8)."""
    return truncated(num_terms)


def taylor_loss(
    input: Logits,
    target: Tensor,
    *,
    num_terms: int = 2,
    link: LinkName = "softmax",
    weight: PerClass | None = None,
    alpha: float | PerClass | None = None,
    pos_weight: float | PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Taylor cross-entropy (Drop-N), :math:`\sum_{j=1}^{N} (1 - p_t)^j / j`.

    The functional form of `TaylorLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> taylor_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), num_terms=2)
        tensor(0.1263)
    """
    return p_t_loss(
        input,
        target,
        taylor_term(num_terms),
        Options(
            link=link,
            weight=weight,
            alpha=alpha,
            pos_weight=pos_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class TaylorLoss(nn.Module):
    r"""Taylor cross-entropy (Drop-N), :math:`\sum_{j=1}^{N} (1 - p_t)^j / j`.

    Cross-entropy without the high powers, which come from samples the model gets badly wrong: a
    bounded loss that tolerates label noise. Its gradient is cross-entropy's times 1 - q^N, so few
    terms also learn slowly where p_t starts small; with C classes think of N around C and more.
    Any N costs the same time and memory.

    Args:
        num_terms: how many terms to keep, N >= 1. Raising it approaches cross-entropy; 1 is the
            mean absolute error 1 - p_t.
        link: "softmax" for one true class per position, "sigmoid" for independent yes / no classes
            (detection, multi-label).
        weight: one number per class; raising a class's weight favours it.
        alpha: weight of positives, with 1 - alpha for negatives; sigmoid only, a number or one per
            class in [0, 1]. Raising it raises recall.
        pos_weight: multiplies the loss of positives only; sigmoid only. Raising it raises recall.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits (or (N,) with the sigmoid link); target (N, d1, ...) class
        indices, or the shape of `input` with probabilities or 0 / 1. The call also takes
        `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position (softmax) or element
        (sigmoid), in [0, H_N], H_N the N-th harmonic number; float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = TaylorLoss(num_terms=600)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)

    Differs from:
        CoinCheung/pytorch-loss: its Taylor softmax expands the exponential instead; a different
            loss.

    Reference:
        Feng et al., Can Cross Entropy Loss Be Robust to Label Noise?, IJCAI 2020; Leng et al.,
        PolyLoss, ICLR 2022, section 4.1 (Drop).
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        num_terms: int = 2,
        link: LinkName = "softmax",
        weight: PerClass | None = None,
        alpha: float | PerClass | None = None,
        pos_weight: float | PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.link = link
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.num_terms = num_terms
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)
        taylor_term(num_terms)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return taylor_term(self.num_terms)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return taylor_loss(
            input,
            target,
            num_terms=self.num_terms,
            link=self.link,
            weight=self.weight,
            alpha=self.alpha,
            pos_weight=self.pos_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="taylor",
    family="classification",
    module=TaylorLoss,
    function=taylor_loss,
    summary="the first N terms of the cross-entropy series: bounded, robust to label noise",
    formula=r"\sum_{j=1}^{N} \frac{(1 - p_t)^j}{j}",
    parameters=(
        Parameter(
            "num_terms",
            2,
            "whole number from 1 to 10 000 000",
            "terms kept; raising it approaches cross-entropy",
            Search(1, 10_000, "log"),
        ),
    ),
    shared=(
        "link",
        "weight",
        "alpha",
        "pos_weight",
        "ignore_index",
        "label_smoothing",
        "reduction",
    ),
    links=("softmax", "sigmoid"),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, harmonic number of N]",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Feng, Shu, Lin, Lv, Li, An",
        "Can Cross Entropy Loss Be Robust to Label Noise?",
        "IJCAI 2020",
        "equation 8; Drop-N in PolyLoss, ICLR 2022",
    ),
    differs=(
        (
            "CoinCheung/pytorch-loss",
            "its Taylor softmax expands the exponential instead; a different loss",
        ),
    ),
    examples=(
        "taylor(num_terms=1)",
        "taylor(num_terms=3)",
        "taylor(num_terms=700)",
        'taylor(num_terms=40, link="sigmoid", alpha=0.25)',
    ),
    identities=(("taylor(num_terms=3)", "series(coefficients=[1, 0.5, 0.3333333333333333])"),),
)
