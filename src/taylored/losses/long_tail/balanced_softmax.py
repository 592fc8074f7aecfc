"""Balanced softmax: the class counts multiply the exponentials in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import PerClass, Reduction
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.losses.classification.term import term_loss
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import check_fit, log_prior, softmax_of
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Spec, describe, hold


def balanced_softmax_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: Tensor | Sequence[float],
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Balanced softmax, :math:`-\log \left(n_t e^{z_t} / \sum_k n_k e^{z_k}\right)`.

    The functional form of `BalancedSoftmaxLoss`, which documents the parameters. It works out the
    prior at every call; the module does so once.

    Example:
        >>> import torch
        >>> balanced_softmax_loss(torch.zeros(1, 2), torch.tensor([0]), counts=[90, 10])
        tensor(0.1054)
    """
    bias = log_prior(counts, dtype=torch.float64)
    check_fit(bias, input)
    return term_loss(
        input,
        target,
        nll,
        logit_bias=bias,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )


class BalancedSoftmaxLoss(nn.Module):
    r"""Balanced softmax, :math:`-\log \left(n_t e^{z_t} / \sum_k n_k e^{z_k}\right)`.

    Softmax fits the label distribution of the training set together with the features; here the
    counts carry the former, and the logits become those of a test set in which every class is
    alike frequent. Without a parameter; `LogitAdjustedLoss` with tau = 1 is the same function.

    Args:
        counts: training samples per class (`taylored.class_counts`). A class without samples counts as
            one, with a warning: its logarithm never is -inf.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices or probabilities of the
        shape of `input`. The call also takes `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = BalancedSoftmaxLoss(counts=[90, 10])
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(1.2040)
        >>> loss.predict(torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])

    Inference: the plain softmax of the logits, `predict`; the counts belong to training.

    Differs from:
        jiawei-ren/BalancedMetaSoftmax-Classification: adds log n, which differs from the log prior
            by a constant that the softmax does not see; -inf for a class without samples. Its
            meta-sampler is not part of the loss.

    Reference:
        Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020,
        balanced softmax.
    """

    counts: Tensor
    logit_bias: Tensor
    weight: Tensor | None

    def __init__(
        self,
        *,
        counts: Tensor | Sequence[float],
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("logit_bias", log_prior(counts))
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """The loss as a term of the adjusted probability."""
        return nll

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
        check_fit(self.logit_bias, input)
        return term_loss(
            input,
            target,
            self.term,
            logit_bias=self.logit_bias,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def predict(self, input: Tensor) -> Tensor:
        """Probabilities of the classes: the softmax of the logits as they are."""
        return softmax_of(input)

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="balanced_softmax",
    family="long-tail",
    module=BalancedSoftmaxLoss,
    function=balanced_softmax_loss,
    summary="cross-entropy with the class counts as factors of the exponentials in training",
    formula=r"-\log \frac{n_t e^{z_t}}{\sum_k n_k e^{z_k}}",
    parameters=(
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
        "Ren, Yu, Sheng, Ma, Zhao, Yi, Li",
        "Balanced Meta-Softmax for Long-Tailed Visual Recognition",
        "NeurIPS 2020",
        "balanced softmax",
    ),
    differs=(
        (
            "jiawei-ren/BalancedMetaSoftmax-Classification",
            "adds log n, which differs from the log prior by a constant that the softmax does not "
            "see; -inf for a class without samples. Its meta-sampler is not part of the loss",
        ),
    ),
    examples=("balanced_softmax()",),
    identities=(
        ("balanced_softmax()", "logit_adjusted(tau=1)"),
        ("balanced_softmax(counts=[3, 3, 3, 3, 3])", "cross_entropy()"),
    ),
    needs=frozenset({"counts"}),
)
