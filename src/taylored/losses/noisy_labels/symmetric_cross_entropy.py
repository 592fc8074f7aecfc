"""Symmetric cross-entropy: cross-entropy plus the one with prediction and label swapped."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def symmetric_cross_entropy_term(direct: float, reverse: float, log_zero: float) -> Term:
    """Direct * -log p + reverse * -log_zero * (1 - p) (Wang et al. 2019, equations 7 and 10)."""
    for name, factor in (("direct", direct), ("reverse", reverse)):
        in_range(name, factor, 0.0, float("inf"), "give a number >= 0", interval="[)")
    in_range(
        "log_zero", log_zero, -float("inf"), 0.0,
        "it stands for log 0: -4 in the paper, log(1e-4) = -9.21 in its code", interval="()",
    )  # fmt: skip
    if direct == 0.0 and reverse == 0.0:
        fail("direct", "above 0 if `reverse` is 0", 0.0, "nothing would be left of the loss")
    return direct * nll + (-log_zero * reverse) * power(1)


def symmetric_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    direct: float = 0.1,
    reverse: float = 1.0,
    log_zero: float = -4.0,
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
    r"""Symmetric cross-entropy, :math:`-a \log p_t - b A (1 - p_t)`, with :math:`A` for log 0.

    The functional form of `SymmetricCrossEntropyLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> symmetric_cross_entropy_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.4895)
    """
    return p_t_loss(
        input,
        target,
        symmetric_cross_entropy_term(direct, reverse, log_zero),
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


class SymmetricCrossEntropyLoss(nn.Module):
    r"""Symmetric cross-entropy, :math:`-a \log p_t - b A (1 - p_t)`, with :math:`A` for log 0.

    Reverse cross-entropy, the sum of -p_k log y_k, is -A (1 - p_t) for a hard label: the bounded
    mean absolute error, which tolerates wrong labels, next to cross-entropy, which converges. So
    this is Poly-1 with epsilon = -A b / a, times a. Published settings: direct = 0.1, reverse = 1
    (CIFAR-10) and direct = 6, reverse = 0.1 (CIFAR-100).

    Args:
        direct: factor a of cross-entropy, >= 0 (the paper's alpha). Raising it fits faster, wrong
            labels too.
        reverse: factor b of reverse cross-entropy, >= 0 (the paper's beta). Raising it tolerates
            more wrong labels.
        log_zero: A < 0, what stands for log 0 in reverse cross-entropy. Only its product with
            `reverse` matters.
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
        in [0, inf); float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = SymmetricCrossEntropyLoss(direct=6.0, reverse=0.1)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        tensor(9.7409)

    Soft targets: the loss is sum_k y_k phi(p_k), the expected loss under the target; -p_k log y_k
    with y_k > 0 in the logarithm would give certainty about a smoothed label a finite reward
    instead.

    Differs from:
        HanxunH/SCELoss-Reproduce: A is log(1e-4) = -9.21, pass log_zero=-9.210340371976182; its
            predictions are clamped at 1e-7, so that samples below that have no cross-entropy
            gradient. The clamped label enters the direct part too, which adds -1e-4 log p_k of
            every other class.

    Reference:
        Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels, ICCV 2019,
        equations 7 and 10.
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        direct: float = 0.1,
        reverse: float = 1.0,
        log_zero: float = -4.0,
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
        self.direct = direct
        self.reverse = reverse
        self.log_zero = log_zero
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)
        symmetric_cross_entropy_term(direct, reverse, log_zero)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return symmetric_cross_entropy_term(self.direct, self.reverse, self.log_zero)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return symmetric_cross_entropy_loss(
            input,
            target,
            direct=self.direct,
            reverse=self.reverse,
            log_zero=self.log_zero,
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
    name="symmetric_cross_entropy",
    family="noise-robust",
    module=SymmetricCrossEntropyLoss,
    function=symmetric_cross_entropy_loss,
    summary="cross-entropy plus reverse cross-entropy, which tolerates wrong labels",
    formula=r"-a \log p_t - b A\,(1 - p_t)",
    parameters=(
        Parameter(
            "direct",
            0.1,
            "number >= 0",
            "factor of cross-entropy; raising it fits faster, wrong labels too",
            Search(0.01, 10.0, "log"),
        ),
        Parameter(
            "reverse",
            1.0,
            "number >= 0",
            "factor of reverse cross-entropy; raising it tolerates more wrong labels",
            Search(0.01, 10.0, "log"),
        ),
        Parameter(
            "log_zero",
            -4.0,
            "number < 0",
            "stands for log 0; only its product with `reverse` matters",
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
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Wang, Ma, Chen, Luo, Yi, Bailey",
        "Symmetric Cross Entropy for Robust Learning with Noisy Labels",
        "ICCV 2019",
        "equations 7 and 10",
    ),
    differs=(
        (
            "HanxunH/SCELoss-Reproduce",
            "A is log(1e-4) = -9.21, pass log_zero=-9.210340371976182; its predictions are "
            "clamped at 1e-7, so that samples below that have no cross-entropy gradient. The "
            "clamped label enters the direct part too, which adds -1e-4 log p_k of every other "
            "class",
        ),
    ),
    examples=(
        "symmetric_cross_entropy()",
        'symmetric_cross_entropy(direct=6, reverse=0.1, link="sigmoid")',
    ),
    identities=(
        ("symmetric_cross_entropy(direct=1, reverse=0.5)", "poly(epsilon=2)"),
        ("symmetric_cross_entropy(direct=1, reverse=0)", "cross_entropy()"),
        ("symmetric_cross_entropy(direct=0, reverse=0.25)", "taylor(num_terms=1)"),
    ),
)
