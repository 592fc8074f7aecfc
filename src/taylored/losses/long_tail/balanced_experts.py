"""Balanced product of experts: each expert with a prior of its own, balanced on average."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.class_weights import log_prior
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options, PerClass
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.elementary import nll
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts, SmoothedCall, SmoothedLoss

__all__ = ["BalancedExpertsLoss", "balanced_experts_loss"]


def shares_of_prior(experts: int, spread: float) -> list[float]:
    """Lambda of every expert, evenly from 1 - spread to 1 + spread: the mean is 1."""
    if experts == 1:
        return [1.0]
    return [1.0 + spread * (2.0 * e / (experts - 1) - 1.0) for e in range(experts)]


def experts_loss(
    input: Logits, target: Tensor, prior: Tensor, spread: float, options: Options
) -> Tensor:
    """The mean of CE(z_e + lambda_e log prior) over the experts (Aimar et al. 2023, eq. 10)."""
    logits = check_input(input)
    if logits.dim() < 3 or logits.shape[0] == 0:
        fail(
            "input",
            "logits of E >= 1 experts, stacked: (E, N, C, d1, ...)",
            f"shape {tuple(logits.shape)}",
            "use torch.stack([head(features) for head in heads])",
        )
    logits = logits.to(computing_dtype(logits))  # gradients are rounded once, after the mean
    shares = shares_of_prior(logits.shape[0], spread)
    losses = [
        p_t_loss(expert, target, nll, options._replace(logit_bias=share * prior))
        for expert, share in zip(logits.unbind(0), shares, strict=True)
    ]
    return sum(losses[1:], losses[0]) / len(losses)


class BalancedExpertsLoss(SmoothedLoss):
    r"""BalPoE, :math:`\frac{1}{E} \sum_e \mathrm{CE}(z_e + \lambda_e \log \pi)`, mean lambda 1.

    Several heads on shared features, each adjusted for another share of the log prior: the first
    for frequent classes, the last beyond balance for rare ones. The mean of their logits is the
    product of the experts; as the shares are 1 on average it is balanced, as the logits of
    `LogitAdjustedLoss` are, which this is for one expert.

    Shape:
        input (E, N, C, d1, ...) logits of the experts, stacked; target (N, d1, ...) class indices,
        or probabilities (N, C, d1, ...). The call also takes `sample_weight` and `normalizer`.
        `posterior`, `logits` and `predict` take the mean over the experts, (N, C, d1, ...).

    Example:
        >>> import torch
        >>> loss = BalancedExpertsLoss(counts=[90, 10])
        >>> experts = torch.tensor([[[2.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]]])
        >>> loss(experts, torch.tensor([0]))
        tensor(0.0598)
        >>> loss.predict(experts.mean(0)), loss.posterior(experts.mean(0))
        (tensor([0]), tensor([[0.9607, 0.0393]]))

    Inference: `predict` is the largest of the mean logits; `posterior` puts the prior back.
    """

    link = "softmax"
    class_dim = 2
    spread: Annotated[
        float,
        About(
            "how far the experts' shares of the log prior reach from 1; raising it makes them "
            "differ more, 0 gives all of them the same",
            within="[0, inf)",
            fix="1 is the published choice: shares of 0, 1 and 2 for three experts",
            search=(0.0, 2.0),
        ),
    ] = 1.0
    counts: Counts

    def derive(self) -> None:
        """The log prior, of which every expert gets a share."""
        self.log_prior = nn.Buffer(log_prior(self.counts, dtype=torch.float64), persistent=False)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The mean of the experts' losses."""
        return experts_loss(input, target, self.log_prior, self.spread, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of logit adjustment: the mean of the experts' logits lacks the prior once."""
        return calibrated_logits(outputs, nll, options._replace(logit_bias=self.log_prior))


@function_of(BalancedExpertsLoss)
def balanced_experts_loss(
    input: Tensor,
    target: Tensor,
    *,
    counts: PerClass,
    spread: float = 1.0,
    **shared: Unpack[SmoothedCall],
) -> Tensor:
    r"""BalPoE, :math:`\frac{1}{E} \sum_e \mathrm{CE}(z_e + \lambda_e \log \pi)`, mean lambda 1.

    The function works out the prior at every call; the module does so once.

    Shape:
        As for `BalancedExpertsLoss`.

    Example:
        >>> import torch
        >>> experts = torch.zeros(3, 1, 2)
        >>> balanced_experts_loss(experts, torch.tensor([1]), counts=[90, 10])
        tensor(2.4675)
    """
    prior = log_prior(counts, dtype=torch.float64)
    return experts_loss(input, target, prior, spread, Options(link="softmax", **shared))


SPEC = spec_of(
    "balanced_experts",
    BalancedExpertsLoss,
    balanced_experts_loss,
    summary="several experts, each adjusted for its share of the prior (BalPoE)",
    formula=r"\frac{1}{E} \sum_e -\log \frac{\pi_t^{\lambda_e} e^{z_{et}}}"
    r"{\sum_k \pi_k^{\lambda_e} e^{z_{ek}}},\quad \frac{1}{E} \sum_e \lambda_e = 1",
    reference=Reference(
        "Aimar, Jonnarth, Felsberg, Kuhlmann",
        "Balanced Product of Calibrated Experts for Long-Tailed Recognition",
        "CVPR 2023",
        "the balanced product of experts with logit adjustment",
    ),
    differs={
        "emasa/BalPoE-CalibratedLT": "BSExpertLoss(tau_list=(0, 1, 2)): equal for three experts, "
        "but for 1e-9 that it adds to the prior; its mixup is soft targets here",
    },
    examples=(
        "balanced_experts(counts=[900, 250, 40, 7, 1])",
        "balanced_experts(counts=[900, 250, 40, 7, 1], spread=0.5)",
    ),
    call="stacked",
)
