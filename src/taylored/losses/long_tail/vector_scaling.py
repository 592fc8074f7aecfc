"""Vector scaling: a factor and a bias per class on the logits, both from the class counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.class_counts import inverse_frequency_weights
from taylored.core.inputs.targets import check_input
from taylored.core.plan.options import PerClass, Reduction
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.losses.classification.term import term_loss
from taylored.losses.long_tail.logit_adjusted import adjustment
from taylored.modules.fields import check_fields
from taylored.modules.priors_old import along, check_fit, softmax_of
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


def class_scale(
    counts: Tensor | Sequence[float], gamma: float, *, dtype: torch.dtype | None = None
) -> Tensor:
    """(n / largest n)^gamma, what Kini et al. 2021 multiply the logits by."""
    in_range("gamma", gamma, 0.0, math.inf, "0.1 to 0.3 are the published choices; 0 changes "
             "nothing", interval="[)")  # fmt: skip
    inverse = inverse_frequency_weights(counts, power=gamma, dtype=torch.float64)
    return (inverse.min() / inverse).to(dtype or torch.get_default_dtype())


def vector_scaling_loss(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor | Sequence[float],
    gamma: float = 0.3,
    tau: float = 1.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy of :math:`\Delta z + \tau \log \pi`, :math:`\Delta_k = (n_k/n_{\max})^\gamma`.

    The functional form of `VectorScalingLoss`, which documents the parameters. It works out factors
    and bias at every call; the module does so once.

    Example:
        >>> import torch
        >>> logits, truth = torch.tensor([[1.0, 1.0]]), torch.tensor([1])
        >>> vector_scaling_loss(logits, truth, counts=[81, 1], gamma=0.25, tau=0.0)
        tensor(1.0810)
    """
    scale = class_scale(counts, gamma, dtype=torch.float64)
    check_input(input)
    check_fit(scale, input)
    return term_loss(
        input * along(scale, input),
        target,
        nll,
        logit_bias=adjustment(counts, tau, dtype=torch.float64),
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )


class VectorScalingLoss(nn.Module):
    r"""Cross-entropy of :math:`\Delta z + \tau \log \pi`, :math:`\Delta_k = (n_k/n_{\max})^\gamma`.

    Late in training of a network that fits its data, a bias on the logits (logit adjustment) no
    longer moves the decision; a factor does, because rare classes then have to grow larger logits
    for the same loss. The bias helps at the start, the factor at the end; together they are the VS
    loss. gamma = 0 is `LogitAdjustedLoss`, tau = 0 the CDT loss, both 0 cross-entropy.

    Args:
        counts: training samples per class (`taylored.class_counts`). A class without samples counts as
            one, with a warning.
        gamma: >= 0; raising it shrinks the logits of rare classes more in training, so that they
            must grow larger.
        tau: >= 0; raising it adds more of the log prior (see `LogitAdjustedLoss`).
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices or probabilities of the
        shape of `input`. The call also takes `sample_weight` and `normalizer` (see `FocalLoss`).
        The scaled logits are a tensor of their own, kept for backward.

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = VectorScalingLoss(counts=[90, 10])
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))
        tensor(0.7248)
        >>> loss.predict(torch.tensor([[0.0, 2.0]]))
        tensor([[0.1192, 0.8808]])

    Inference: the plain softmax of the logits, `predict`; factors and bias belong to training.

    Differs from:
        orparask/VS-Loss: divides by (n_max / n)^gamma, the same factors; equal in value and
            gradient where every class has samples (it divides by zero otherwise). Its binary and
            group-sensitive forms are not here.

    Reference:
        Kini et al., Label-Imbalanced and Group-Sensitive Classification under Overparameterization,
        NeurIPS 2021, VS-loss.
    """

    counts: Tensor
    scale: Tensor
    logit_bias: Tensor
    weight: Tensor | None

    def __init__(
        self,
        *,
        counts: Tensor | Sequence[float],
        gamma: float = 0.3,
        tau: float = 1.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.tau = tau
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.register_buffer("scale", class_scale(counts, gamma))
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
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        check_input(input)
        check_fit(self.scale, input)
        return term_loss(
            input * along(self.scale, input),
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
    name="vector_scaling",
    family="long-tail",
    module=VectorScalingLoss,
    function=vector_scaling_loss,
    summary="cross-entropy with a factor and a bias per class on the logits in training (VS loss)",
    formula=r"-\log \frac{\pi_t^{\tau} e^{\Delta_t z_t}}{\sum_k \pi_k^{\tau} e^{\Delta_k z_k}},"
    r"\quad \Delta_k = (n_k / n_{\max})^{\gamma}",
    parameters=(
        Parameter(
            "gamma",
            0.3,
            "number >= 0",
            "exponent of the factors; raising it makes rare classes grow larger logits",
            Search(0.0, 0.5),
        ),
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
        "Kini, Paraskevas, Oymak, Thrampoulidis",
        "Label-Imbalanced and Group-Sensitive Classification under Overparameterization",
        "NeurIPS 2021",
        "VS-loss",
    ),
    differs=(
        (
            "orparask/VS-Loss",
            "divides by (n_max / n)^gamma, the same factors; equal in value and gradient where "
            "every class has samples (it divides by zero otherwise). Its binary and "
            "group-sensitive forms are not here",
        ),
    ),
    examples=(
        "vector_scaling()",
        "vector_scaling(gamma=0.15, tau=0, label_smoothing=0.1)",
    ),
    identities=(
        ("vector_scaling(gamma=0, tau=1.3)", "logit_adjusted(tau=1.3)"),
        ("vector_scaling(gamma=0, tau=0)", "cross_entropy()"),
    ),
    needs=frozenset({"counts"}),
)
