"""Generalized cross-entropy: one parameter from cross-entropy to the mean absolute error."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.noise_robust import box_cox
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def generalized_cross_entropy_term(q: float) -> Term:
    """(1 - p^q) / q (Zhang and Sabuncu 2018, equation 6)."""
    in_range("q", q, 0.0, 1.0, "0 is cross-entropy, 1 the mean absolute error, 0.7 the paper's")
    return box_cox(q)


def generalized_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    q: float = 0.7,
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
    r"""Generalized cross-entropy, :math:`(1 - p_t^q) / q`.

    The functional form of `GeneralizedCrossEntropyLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> generalized_cross_entropy_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1215)
    """
    return p_t_loss(
        input,
        target,
        generalized_cross_entropy_term(q),
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


class GeneralizedCrossEntropyLoss(nn.Module):
    r"""Generalized cross-entropy, :math:`(1 - p_t^q) / q`.

    The gradient is cross-entropy's times p_t^q: samples that the model gets badly wrong,
    mislabelled ones among them, pull less. With many classes p_t starts small and so does learning;
    lower q then, or begin with cross-entropy.

    In the algebra it is `terms.box_cox(q)`. Computed as -expm1(q log p_t) / q, which is exact for
    any q and p_t.

    Args:
        q: in [0, 1]. Raising it forgives badly wrong samples more, and learns slower; 0 is
            cross-entropy, 1 the mean absolute error 1 - p_t.
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
        A scalar, or with reduction="none" one value per position (softmax) or element (sigmoid),
        in [0, 1/q]; float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = GeneralizedCrossEntropyLoss(q=0.5)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        tensor(0.8437)

    Differs from:
        AlanChou/Truncated-Loss: subtracts the constant (1 - k^q) / q of its threshold k and weighs
            samples by an array with one entry per training sample, 0 where p_t <= k; here that is
            sample_weight. It forms p_t^q from the softmax, so that gradients are NaN where p_t
            underflows.

    Reference:
        Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with
        Noisy Labels, NeurIPS 2018, equation 6.
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        q: float = 0.7,
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
        self.q = q
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)
        generalized_cross_entropy_term(q)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return generalized_cross_entropy_term(self.q)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return generalized_cross_entropy_loss(
            input,
            target,
            q=self.q,
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
    name="generalized_cross_entropy",
    family="noise-robust",
    module=GeneralizedCrossEntropyLoss,
    function=generalized_cross_entropy_loss,
    summary="(1 - p_t^q) / q, between cross-entropy and the mean absolute error",
    formula=r"\frac{1 - p_t^{q}}{q}",
    parameters=(
        Parameter(
            "q",
            0.7,
            "number in [0, 1]",
            "raising it forgives wrong labels more and learns slower: 0 is cross-entropy, 1 is 1 "
            "- p_t",
            Search(0.1, 1.0),
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
    value_range="[0, 1/q]",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Zhang, Sabuncu",
        "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
        "NeurIPS 2018",
        "equation 6",
    ),
    differs=(
        (
            "AlanChou/Truncated-Loss",
            "subtracts the constant (1 - k^q) / q of its threshold k and weighs samples by an "
            "array with one entry per training sample, 0 where p_t <= k; here that is "
            "sample_weight. It forms p_t^q from the softmax, so that gradients are NaN where "
            "p_t underflows",
        ),
    ),
    examples=(
        "generalized_cross_entropy(q=0.7)",
        'generalized_cross_entropy(q=0.2, link="sigmoid", alpha=0.25)',
    ),
    identities=(
        ("generalized_cross_entropy(q=0)", "cross_entropy()"),
        ("generalized_cross_entropy(q=1)", "taylor(num_terms=1)"),
    ),
)
