"""Logit adjustment: the class prior added to the logits in training, or taken off afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import PerClass, Reduction
from taylored.core.plan.plan import computing_dtype
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.losses.classification.term import term_loss
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import along, check_fit, log_prior, softmax_of
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


def adjustment(
    counts: Tensor | Sequence[float], tau: float, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Tau log prior, what Menon et al. 2021 add to or take off the logits."""
    in_range("tau", tau, 0.0, math.inf, "1 is the published choice; 0 changes nothing",
             interval="[)")  # fmt: skip
    wide = tau * log_prior(counts, dtype=torch.float64)
    return wide.to(dtype or torch.get_default_dtype())


def adjust_logits(logits: Tensor, *, counts: Tensor | Sequence[float], tau: float = 1.0) -> Tensor:
    r"""Post-hoc logit adjustment: :math:`z - \tau \log \pi` for a model trained without it.

    The rule for a model of plain cross-entropy: taking the prior of the training set off its logits
    gives the classifier of the lowest *balanced* error. Not for logits that were trained with
    `LogitAdjustedLoss` or `BalancedSoftmaxLoss`, where it is already off.

    Args:
        logits: (N, C, d1, ...), classes on axis 1, or (C,).
        counts: training samples per class; a class without samples counts as one, with a warning.
        tau: >= 0; raising it favours rare classes more. 1 is the prior; 0 changes nothing.

    Returns:
        The adjusted logits, in the shape of `logits`; float32 for half precision.

    Raises:
        ValueError: for counts that do not fit the logits, or a tau out of its domain.

    Example:
        >>> import torch
        >>> adjust_logits(torch.zeros(1, 2), counts=[90, 10])
        tensor([[0.1054, 2.3026]])

    Reference:
        Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021, post-hoc logit
        adjustment.
    """
    moved = adjustment(counts, tau, dtype=torch.float64)
    check_fit(moved, logits)
    return logits.to(computing_dtype(logits)) - along(moved, logits)


def logit_adjusted_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: Tensor | Sequence[float],
    tau: float = 1.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Logit-adjusted cross-entropy, :math:`-\log\,\mathrm{softmax}(z + \tau \log \pi)_t`.

    The functional form of `LogitAdjustedLoss`, which documents the parameters. It works out the
    prior at every call; the module does so once.

    Example:
        >>> import torch
        >>> logit_adjusted_loss(torch.zeros(1, 2), torch.tensor([1]), counts=[90, 10])
        tensor(2.3026)
    """
    bias = adjustment(counts, tau, dtype=torch.float64)
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


class LogitAdjustedLoss(nn.Module):
    r"""Logit-adjusted cross-entropy, :math:`-\log\,\mathrm{softmax}(z + \tau \log \pi)_t`.

    While training, frequent classes get a head start of tau times their log prior, so that the
    logits themselves have to learn what is left: the rule of the lowest balanced error. The
    gradient is p - y for the adjusted p. `adjust_logits` does the same to a model that has already
    been trained with plain cross-entropy.

    Args:
        counts: training samples per class (`taylored.class_counts`). A class without samples counts as
            one, with a warning: its prior is small and not zero, the bias never -inf.
        tau: >= 0; raising it favours rare classes more. 1 is the prior itself, 0 plain
            cross-entropy.
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
        >>> loss = LogitAdjustedLoss(counts=[90, 10])
        >>> logits = torch.zeros(1, 2, requires_grad=True)
        >>> loss(logits, torch.tensor([1])).backward()
        >>> logits.grad
        tensor([[ 0.9000, -0.9000]])
        >>> loss.predict(logits.detach())
        tensor([[0.5000, 0.5000]])

    Inference: the plain softmax of the logits, `predict`; the prior belongs to training.

    Differs from:
        google-research/logit_adjustment: adds log(prior^tau + 1e-12), which stops at -27.6 for
            classes rarer than that; equal for all others. Its post-hoc mode is `adjust_logits`.

    Reference:
        Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021, the logit
        adjusted softmax cross-entropy.
    """

    counts: Tensor
    logit_bias: Tensor
    weight: Tensor | None

    def __init__(
        self,
        *,
        counts: Tensor | Sequence[float],
        tau: float = 1.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.tau = tau
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("logit_bias", adjustment(counts, tau))
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
    name="logit_adjusted",
    family="long-tail",
    module=LogitAdjustedLoss,
    function=logit_adjusted_loss,
    summary="cross-entropy with the log prior of each class added to its logit in training",
    formula=r"-\log \frac{\pi_t^{\tau} e^{z_t}}{\sum_k \pi_k^{\tau} e^{z_k}}",
    parameters=(
        Parameter(
            "tau",
            1.0,
            "number >= 0",
            "how much of the log prior is added; raising it favours rare classes",
            Search(0.25, 2.5),
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
        "Menon, Jayasumana, Rawat, Jain, Veit, Kumar",
        "Long-Tail Learning via Logit Adjustment",
        "ICLR 2021",
        "logit adjusted softmax cross-entropy",
    ),
    differs=(
        (
            "google-research/logit_adjustment",
            "adds log(prior^tau + 1e-12), which stops at -27.6 for classes rarer than that; equal "
            "for all others. Its post-hoc mode is `adjust_logits`",
        ),
    ),
    examples=(
        "logit_adjusted()",
        "logit_adjusted(tau=1.7, label_smoothing=0.1)",
    ),
    identities=(("logit_adjusted(tau=0)", "cross_entropy()"),),
    needs=frozenset({"counts"}),
)
