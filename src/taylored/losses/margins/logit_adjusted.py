"""Logit adjustment: the class prior added to the logits in training, or taken off afterwards."""

from __future__ import annotations

import math
from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.class_weights import log_prior
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.class_axis import along, check_lengths, class_count
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedCall, SmoothedLoss

__all__ = ["LogitAdjustedLoss", "adjust_logits", "logit_adjusted_loss"]

Tau = Annotated[
    float,
    About(
        "how much of the log prior is added; raising it favours rare classes, 1 is the prior "
        "itself, 0 adds nothing",
        within="[0, inf)",
        fix="1 is the published choice; 0 changes nothing",
        search=(0.25, 2.5),
    ),
]


def adjustment(counts: PerClass, tau: float) -> Tensor:
    """Tau log prior, what Menon et al. 2021 add to or take off the logits."""
    return tau * log_prior(counts, dtype=torch.float64)


def adjust_logits(logits: Tensor, *, counts: PerClass, tau: float = 1.0) -> Tensor:
    r"""Post-hoc logit adjustment: :math:`z - \tau \log \pi` for a model trained without it.

    This is the rule for a model of plain cross-entropy: taking the prior of the training set off
    its logits gives the classifier of the lowest *balanced* error. It is not for logits that were
    trained with `LogitAdjustedLoss` or `BalancedSoftmaxLoss`, where the prior is already off.

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
    check_input(logits)
    in_range("tau", tau, 0.0, math.inf, "1 is the published choice", interval="[)")
    moved = adjustment(counts, tau)
    check_lengths({"counts": len(moved)}, class_count(logits, "softmax", 1))
    return logits.to(computing_dtype(logits)) - along(moved, logits)


class LogitAdjustedLoss(SmoothedLoss):
    r"""Logit-adjusted cross-entropy, :math:`-\log\,\mathrm{softmax}(z + \tau \log \pi)_t`.

    While training, frequent classes get a head start of tau times their log prior, so that the
    logits themselves have to learn what is left: the rule of the lowest balanced error. The
    gradient is p - y for the adjusted p. `adjust_logits` does the same to a model that has already
    been trained with plain cross-entropy.

    Example:
        >>> import torch
        >>> loss = LogitAdjustedLoss(counts=[90, 10])
        >>> logits = torch.zeros(1, 2, requires_grad=True)
        >>> loss(logits, torch.tensor([1])).backward()
        >>> logits.grad
        tensor([[ 0.9000, -0.9000]])
        >>> loss.posterior(logits.detach()), loss.posterior(logits.detach(), prior="balanced")
        (tensor([[0.9000, 0.1000]]), tensor([[0.5000, 0.5000]]))

    Inference: `predict` is the largest logit, the decision of the lowest balanced error for
    tau = 1; `posterior` puts the prior back.
    """

    link = "softmax"
    tau: Tau = 1.0
    counts: Counts

    def derive(self) -> None:
        """What is added to the logits."""
        self.logit_bias = nn.Buffer(adjustment(self.counts, self.tau), persistent=False)

    @property
    def term(self) -> Term:
        """The loss as a term of the adjusted probability."""
        return nll

    def fill(self, options: Options) -> Options:
        """The options with the prior."""
        return options._replace(logit_bias=self.logit_bias)


@function_of(LogitAdjustedLoss)
def logit_adjusted_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: PerClass,
    tau: float = 1.0,
    **shared: Unpack[SmoothedCall],
) -> Tensor:
    r"""Logit-adjusted cross-entropy, :math:`-\log\,\mathrm{softmax}(z + \tau \log \pi)_t`.

    The function works out the prior at every call; the module does so once.

    Example:
        >>> import torch
        >>> logit_adjusted_loss(torch.zeros(1, 2), torch.tensor([1]), counts=[90, 10])
        tensor(2.3026)
    """
    bias = adjustment(counts, tau)
    return p_t_loss(input, target, nll, Options(logit_bias=bias, **shared))


SPEC = spec_of(
    "logit_adjusted",
    LogitAdjustedLoss,
    logit_adjusted_loss,
    summary="cross-entropy with the log prior of each class added to its logit in training",
    formula=r"-\log \frac{\pi_t^{\tau} e^{z_t}}{\sum_k \pi_k^{\tau} e^{z_k}}",
    reference=Reference(
        "Menon, Jayasumana, Rawat, Jain, Veit, Kumar",
        "Long-Tail Learning via Logit Adjustment",
        "ICLR 2021",
        "logit adjusted softmax cross-entropy",
    ),
    differs={
        "google-research/logit_adjustment": "adds log(prior^tau + 1e-12), which stops at -27.6 for "
        "classes rarer than that; equal for all others. Its post-hoc mode is `adjust_logits`",
    },
    examples=("logit_adjusted()", "logit_adjusted(tau=1.7, label_smoothing=0.1)"),
    identities={"logit_adjusted(tau=0)": "cross_entropy()"},
)
