"""Jensen-Shannon loss: the divergence of label and prediction from their mixture."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.noise_robust import jensen_shannon
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["JensenShannonLoss", "jensen_shannon_loss"]


def jensen_shannon_term(pi: float) -> Term:
    """Normalised divergence of a hard label of weight pi (Englesson and Azizpour 2021, eq. 4)."""
    return jensen_shannon(pi)


class JensenShannonLoss(EitherLinkLoss):
    r"""Jensen-Shannon loss, the divergence of label and prediction with weights pi and 1 - pi.

    With c = 1 - pi and the mixture m = pi y + c p it is
    (pi KL(y || m) + c KL(p || m)) / (-c log c). For a hard label every other class adds its p_k
    times the same number, which leaves a function of p_t alone,
    1 - p_t + (c p_t log p_t - m_t log m_t) / (-c log c).

    The derivative -log(m_t / (c p_t)) / -log c falls from 1 / p_t to 1 as pi rises. In the algebra
    it is `terms.jensen_shannon(pi)`; `GeneralizedJensenShannonLoss` adds consistency between
    several predictions of one sample.

    Example:
        >>> import torch
        >>> loss = JensenShannonLoss(pi=0.3)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        tensor(1.0698)

    Soft targets: the loss is sum_k y_k phi(p_k), the expected loss under the target, not the
    divergence from the soft label itself.
    """

    pi: Annotated[
        float,
        About(
            "weight of the label in the mixture; raising it forgives badly wrong samples more and "
            "learns slower: towards 0 it is cross-entropy, towards 1 the mean absolute error",
            within="[1e-9, 0.999999999]",
            domain="a number in (0, 1), from 1e-9 to 1 - 1e-9",
            fix="the limits are other losses: cross_entropy at 0, taylor(num_terms=1) at 1",
            search=(0.05, 0.95),
        ),
    ] = 0.5

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return jensen_shannon_term(self.pi)


@function_of(JensenShannonLoss)
def jensen_shannon_loss(
    input: Logits, target: Tensor, *, pi: float = 0.5, **shared: Unpack[EitherLinkCall]
) -> Tensor:
    r"""Jensen-Shannon loss, the divergence of label and prediction with weights pi and 1 - pi.

    Example:
        >>> import torch
        >>> jensen_shannon_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1247)
    """
    return p_t_loss(input, target, jensen_shannon_term(pi), Options(**shared))


SPEC = spec_of(
    "jensen_shannon",
    JensenShannonLoss,
    jensen_shannon_loss,
    summary="divergence of label and prediction from their mixture; between CE and 1 - p_t",
    formula=r"\frac{\pi\,\mathrm{KL}(y\,\|\,m) + (1-\pi)\,\mathrm{KL}(p\,\|\,m)}"
    r"{-(1-\pi)\log(1-\pi)},"
    r"\quad m = \pi y + (1-\pi) p",
    reference=Reference(
        "Englesson, Azizpour",
        "Generalized Jensen-Shannon Divergence Loss for Learning with Noisy Labels",
        "NeurIPS 2021",
        "equation 4",
    ),
    differs={
        "ErikEnglesson/GJS": "JensenShannonDivergenceWeightedScaled(weights='pi 1-pi'): equal, up "
        "to its clamp of probabilities at 1e-7 before the logarithms; takes (N, C) and class "
        "indices only",
    },
    value_range="[0, 1 + pi log pi / ((1 - pi) log(1 - pi))]",
    examples=(
        "jensen_shannon(pi=0.5)",
        'jensen_shannon(pi=0.1, link="sigmoid", pos_weight=3)',
    ),
)
