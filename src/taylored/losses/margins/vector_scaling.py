"""Vector scaling: a factor and a bias per class on the logits, both from the class counts."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.class_weights import inverse_frequency_weights, present_counts
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.losses.margins.logit_adjusted import Tau, adjustment
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedCall, SmoothedLoss

__all__ = ["VectorScalingLoss", "vector_scaling_loss"]


def class_scale(counts: PerClass, gamma: float) -> Tensor:
    """(n / largest n)^gamma, what Kini et al. 2021 multiply the logits by."""
    inverse = inverse_frequency_weights(counts, power=gamma, dtype=torch.float64)
    return inverse.min() / inverse


class VectorScalingLoss(SmoothedLoss):
    r"""Cross-entropy of :math:`\Delta z + \tau \log \pi`, :math:`\Delta_k = (n_k/n_{\max})^\gamma`.

    Late in training of a network that fits its data, a bias on the logits (logit adjustment) no
    longer moves the decision; a factor does, because rare classes then have to grow larger logits
    for the same loss. The bias helps at the start, the factor at the end; together they are the VS
    loss. gamma = 0 is `LogitAdjustedLoss`, tau = 0 the CDT loss, both 0 cross-entropy.

    Example:
        >>> import torch
        >>> loss = VectorScalingLoss(counts=[90, 10])
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))
        tensor(0.7248)
        >>> loss.predict(torch.tensor([[0.0, 2.0]])), loss.posterior(torch.tensor([[0.0, 2.0]]))
        (tensor([1]), tensor([[0.7618, 0.2382]]))

    Inference: `predict` is the largest logit, without factors and bias, which belong to training;
    `posterior` is the softmax with both.
    """

    link = "softmax"
    gamma: Annotated[
        float,
        About(
            "exponent of the factors; raising it shrinks the logits of rare classes more in "
            "training, so that they must grow larger",
            within="[0, inf)",
            fix="0.1 to 0.3 are the published choices; 0 changes nothing",
            search=(0.0, 0.5),
        ),
    ] = 0.3
    tau: Tau = 1.0
    counts: Counts

    def derive(self) -> None:
        """The factors on the logits, and what is added to them."""
        counts = present_counts(self.counts)
        self.scale = nn.Buffer(class_scale(counts, self.gamma), persistent=False)
        self.logit_bias = nn.Buffer(adjustment(counts, self.tau), persistent=False)

    @property
    def term(self) -> Term:
        """The loss as a term of the adjusted probability."""
        return nll

    def fill(self, options: Options) -> Options:
        """The options with factors and bias."""
        return options._replace(logit_scale=self.scale, logit_bias=self.logit_bias)


@function_of(VectorScalingLoss)
def vector_scaling_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: PerClass,
    gamma: float = 0.3,
    tau: float = 1.0,
    **shared: Unpack[SmoothedCall],
) -> Tensor:
    r"""Cross-entropy of :math:`\Delta z + \tau \log \pi`, :math:`\Delta_k = (n_k/n_{\max})^\gamma`.

    The function works out factors and bias at every call; the module does so once.

    Example:
        >>> import torch
        >>> logits, truth = torch.tensor([[1.0, 1.0]]), torch.tensor([1])
        >>> vector_scaling_loss(logits, truth, counts=[81, 1], gamma=0.25, tau=0.0)
        tensor(1.0810)
    """
    counts = present_counts(counts)
    scale, bias = class_scale(counts, gamma), adjustment(counts, tau)
    options = Options(logit_scale=scale, logit_bias=bias, **shared)
    return p_t_loss(input, target, nll, options)


SPEC = spec_of(
    "vector_scaling",
    VectorScalingLoss,
    vector_scaling_loss,
    summary="cross-entropy with a factor and a bias per class on the logits in training (VS loss)",
    formula=r"-\log \frac{\pi_t^{\tau} e^{\Delta_t z_t}}{\sum_k \pi_k^{\tau} e^{\Delta_k z_k}},"
    r"\quad \Delta_k = (n_k / n_{\max})^{\gamma}",
    reference=Reference(
        "Kini, Paraskevas, Oymak, Thrampoulidis",
        "Label-Imbalanced and Group-Sensitive Classification under Overparameterization",
        "NeurIPS 2021",
        "VS-loss",
    ),
    differs={
        "orparask/VS-Loss": "divides by (n_max / n)^gamma, the same factors; equal in value and "
        "gradient where every class has samples (it divides by zero otherwise). Its binary and "
        "group-sensitive forms are not here",
    },
    examples=("vector_scaling()", "vector_scaling(gamma=0.15, tau=0, label_smoothing=0.1)"),
    identities={
        "vector_scaling(gamma=0, tau=1.3)": "logit_adjusted(tau=1.3)",
        "vector_scaling(gamma=0, tau=0)": "cross_entropy()",
    },
)
