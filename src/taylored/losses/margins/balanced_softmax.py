"""Balanced softmax: the class counts multiply the exponentials in training."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from taylored.core.class_weights import log_prior
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedCall, SmoothedLoss

__all__ = ["BalancedSoftmaxLoss", "balanced_softmax_loss"]


class BalancedSoftmaxLoss(SmoothedLoss):
    r"""Balanced softmax, :math:`-\log \left(n_t e^{z_t} / \sum_k n_k e^{z_k}\right)`.

    Softmax fits the label distribution of the training set together with the features. Here the
    counts carry the former, and the logits become those of a test set in which every class is
    alike frequent. The loss has no parameter; `LogitAdjustedLoss` with tau = 1 is the same
    function.

    Example:
        >>> import torch
        >>> loss = BalancedSoftmaxLoss(counts=[90, 10])
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(1.2040)
        >>> loss.predict(torch.tensor([[0.0, 1.0]])), loss.posterior(torch.tensor([[0.0, 1.0]]))
        (tensor([1]), tensor([[0.7680, 0.2320]]))

    Inference: `predict` is the largest logit, the best decision where all classes are alike
    frequent; `posterior` puts the counts back.
    """

    link = "softmax"
    counts: Counts

    def derive(self) -> None:
        """What is added to the logits: log n, but for a constant that the softmax does not see."""
        bias = log_prior(self.counts, dtype=torch.float64)
        self.logit_bias = nn.Buffer(bias, persistent=False)

    @property
    def term(self) -> Term:
        """The loss as a term of the adjusted probability."""
        return nll

    def fill(self, options: Options) -> Options:
        """The options with log n as a bias."""
        return options._replace(logit_bias=self.logit_bias)


@function_of(BalancedSoftmaxLoss)
def balanced_softmax_loss(
    input: Logits, target: Tensor, *, counts: PerClass, **shared: Unpack[SmoothedCall]
) -> Tensor:
    r"""Balanced softmax, :math:`-\log \left(n_t e^{z_t} / \sum_k n_k e^{z_k}\right)`.

    The function works out the prior at every call; the module does so once.

    Example:
        >>> import torch
        >>> balanced_softmax_loss(torch.zeros(1, 2), torch.tensor([0]), counts=[90, 10])
        tensor(0.1054)
    """
    bias = log_prior(counts, dtype=torch.float64)
    return p_t_loss(input, target, nll, Options(logit_bias=bias, **shared))


SPEC = spec_of(
    "balanced_softmax",
    BalancedSoftmaxLoss,
    balanced_softmax_loss,
    summary="cross-entropy with the class counts as factors of the exponentials in training",
    formula=r"-\log \frac{n_t e^{z_t}}{\sum_k n_k e^{z_k}}",
    reference=Reference(
        "Ren, Yu, Sheng, Ma, Zhao, Yi, Li",
        "Balanced Meta-Softmax for Long-Tailed Visual Recognition",
        "NeurIPS 2020",
        "balanced softmax",
    ),
    differs={
        "jiawei-ren/BalancedMetaSoftmax-Classification": "adds log n, which differs from the log "
        "prior by a constant that the softmax does not see; -inf for a class without samples. Its "
        "meta-sampler is not part of the loss",
    },
    examples=("balanced_softmax()",),
    identities={
        "balanced_softmax()": "logit_adjusted(tau=1)",
        "balanced_softmax(counts=[3, 3, 3, 3, 3])": "cross_entropy()",
    },
)
