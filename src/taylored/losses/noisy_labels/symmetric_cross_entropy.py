"""Symmetric cross-entropy: cross-entropy plus the one with prediction and label swapped."""

from __future__ import annotations

from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["SymmetricCrossEntropyLoss", "symmetric_cross_entropy_loss"]


def symmetric_cross_entropy_term(direct: float, reverse: float, log_zero: float) -> Term:
    """Direct * -log p + reverse * -log_zero * (1 - p) (Wang et al. 2019, equations 7 and 10)."""
    if direct == 0.0 and reverse == 0.0:
        fail("direct", "above 0 if `reverse` is 0", 0.0, "nothing would be left of the loss")
    return direct * nll + (-log_zero * reverse) * power(1)


class SymmetricCrossEntropyLoss(EitherLinkLoss):
    r"""Symmetric cross-entropy, :math:`-a \log p_t - b A (1 - p_t)`, with :math:`A` for log 0.

    Reverse cross-entropy, the sum of -p_k log y_k, is -A (1 - p_t) for a hard label. It is the
    bounded mean absolute error, which tolerates wrong labels, next to cross-entropy, which
    converges. So this is Poly-1 with epsilon = -A b / a, times a. Published settings: direct = 0.1,
    reverse = 1 (CIFAR-10) and direct = 6, reverse = 0.1 (CIFAR-100).

    Example:
        >>> import torch
        >>> loss = SymmetricCrossEntropyLoss(direct=6.0, reverse=0.1)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        tensor(9.7409)

    Soft targets: the loss is sum_k y_k phi(p_k), the expected loss under the target; -p_k log y_k
    with y_k > 0 in the logarithm would give certainty about a smoothed label a finite reward
    instead.
    """

    direct: Annotated[
        float,
        About(
            "factor a of cross-entropy (the paper's alpha); raising it fits faster, wrong labels "
            "too",
            within="[0, inf)",
            fix="0 leaves reverse cross-entropy alone",
            search=(0.01, 10.0, "log"),
        ),
    ] = 0.1
    reverse: Annotated[
        float,
        About(
            "factor b of reverse cross-entropy (the paper's beta); raising it tolerates more wrong "
            "labels",
            within="[0, inf)",
            fix="0 leaves cross-entropy alone",
            search=(0.01, 10.0, "log"),
        ),
    ] = 1.0
    log_zero: Annotated[
        float,
        About(
            "what stands for log 0 in reverse cross-entropy (A); only its product with `reverse` "
            "matters",
            within="(-inf, 0)",
            fix="it stands for log 0: -4 in the paper, log(1e-4) = -9.21 in its code",
        ),
    ] = -4.0

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return symmetric_cross_entropy_term(self.direct, self.reverse, self.log_zero)


@function_of(SymmetricCrossEntropyLoss)
def symmetric_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    direct: float = 0.1,
    reverse: float = 1.0,
    log_zero: float = -4.0,
    **shared: Unpack[EitherLinkCall],
) -> Tensor:
    r"""Symmetric cross-entropy, :math:`-a \log p_t - b A (1 - p_t)`, with :math:`A` for log 0.

    Example:
        >>> import torch
        >>> symmetric_cross_entropy_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.4895)
    """
    term = symmetric_cross_entropy_term(direct, reverse, log_zero)
    return p_t_loss(input, target, term, Options(**shared))


SPEC = spec_of(
    "symmetric_cross_entropy",
    SymmetricCrossEntropyLoss,
    symmetric_cross_entropy_loss,
    summary="cross-entropy plus reverse cross-entropy, which tolerates wrong labels",
    formula=r"-a \log p_t - b A\,(1 - p_t)",
    reference=Reference(
        "Wang, Ma, Chen, Luo, Yi, Bailey",
        "Symmetric Cross Entropy for Robust Learning with Noisy Labels",
        "ICCV 2019",
        "equations 7 and 10",
    ),
    differs={
        "HanxunH/SCELoss-Reproduce": "A is log(1e-4) = -9.21, pass log_zero=-9.210340371976182; "
        "its predictions are clamped at 1e-7, so that samples below that have no cross-entropy "
        "gradient. The clamped label enters the direct part too, which adds -1e-4 log p_k of every "
        "other class",
    },
    examples=(
        "symmetric_cross_entropy()",
        'symmetric_cross_entropy(direct=6, reverse=0.1, link="sigmoid")',
    ),
    identities={
        "symmetric_cross_entropy(direct=1, reverse=0.5)": "poly(epsilon=2)",
        "symmetric_cross_entropy(direct=1, reverse=0)": "cross_entropy()",
        "symmetric_cross_entropy(direct=0, reverse=0.25)": "taylor(num_terms=1)",
    },
)
