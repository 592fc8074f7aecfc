"""Dynamic fine-tuning: cross-entropy weighted by the probability, as a constant."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.engine.element_loss import element_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.point import Point
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["DFTLoss", "dft_loss"]


def dft_values(at: Point, y: Tensor) -> Tensor:
    """-y sg(p) log p (Wu et al. 2025, equation 9)."""
    return y * at.p.detach() * at.nll


class DFTLoss(WeightedLoss):
    r"""Dynamic fine-tuning, :math:`-\mathrm{sg}(p_t) \log p_t`, sg the stop-gradient.

    Cross-entropy on expert data weighs a token by one over its probability, seen as a policy
    gradient; the factor p_t takes that off. The gradient is exactly that of 1 - p_t,
    `ProbabilityPowerLoss()`, whose value is what is minimised; this one has the value that TRL
    reports.

    Example:
        >>> import torch
        >>> DFTLoss()(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1118)
    """

    link = "softmax"
    unreadable = "its gradient is that of 1 - p, whose minimum is the most probable class alone"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The weighted cross-entropy."""
        return element_loss(input, target, dft_values, options)


@function_of(DFTLoss)
def dft_loss(input: Logits, target: Tensor, **shared: Unpack[WeightedCall]) -> Tensor:
    r"""Dynamic fine-tuning, :math:`-\mathrm{sg}(p_t) \log p_t`, sg the stop-gradient.

    Example:
        >>> import torch
        >>> dft_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([1]))
        tensor(0.2535)
    """
    return element_loss(input, target, dft_values, Options(**shared))


SPEC = spec_of(
    "dft",
    DFTLoss,
    dft_loss,
    summary="cross-entropy times the probability as a constant, for fine-tuning (DFT)",
    formula=r"-\mathrm{sg}(p_t) \log p_t",
    reference=Reference(
        "Wu et al.",
        "On the Generalization of SFT: A Reinforcement Learning Perspective with Reward "
        "Rectification",
        "arXiv 2508.05629",
        "equation 9",
    ),
    value_range="[0, 1/e]",
    differs={"TRL": 'loss_type="dft": equal'},
    examples=("dft()",),
)
