"""PolyLoss: cross-entropy or focal loss with its first polynomial coefficients moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Unpack

from torch import Tensor

from taylored.core.checks import in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.remembered import remembered
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import EitherLinkCall, EitherLinkLoss

__all__ = ["PolyLoss", "poly_loss"]


@remembered
def poly_term(epsilon: float | Sequence[float], gamma: float) -> Term:
    """-q^gamma log p + sum of epsilon_j q^(j + gamma) (Leng et al. 2022, equations 5 to 7)."""
    steps = (epsilon,) if isinstance(epsilon, (int, float)) else tuple(epsilon)
    term = nll if gamma == 0.0 else power(gamma) * nll
    for j, step in enumerate(steps, start=1):
        in_range(
            f"epsilon[{j - 1}]", step, -math.inf, math.inf, "give a finite number", interval="()"
        )
        term = term + step * power(gamma + j)
    return term


class PolyLoss(EitherLinkLoss):
    r"""PolyLoss, :math:`-q^\gamma \log p_t + \sum_j \epsilon_j q^{j+\gamma}`, :math:`q = 1 - p_t`.

    Cross-entropy is the series sum of q^j / j; PolyLoss moves its first coefficients and leaves the
    rest. One number is Poly-1, which the paper finds to be enough: it multiplies cross-entropy's
    gradient by 1 + epsilon p_t, so that epsilon > 0 keeps pushing confident samples and
    epsilon = -1 lets go of them. The paper's listing uses 1; published optima are 2 (ImageNet) and
    -1 (detection): tune it on your data. `weight`, `alpha` and a smoothed or mixed target enter
    both parts, as in the paper's appendix.

    Example:
        >>> import torch
        >>> loss = PolyLoss(epsilon=-1.0, gamma=2.0, link="sigmoid", alpha=0.25)
        >>> loss(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]))
        tensor(0.0181)
    """

    falls_if = "epsilon_j >= -1/j for every j, for a single number epsilon >= -1"
    epsilon: Annotated[
        float | Sequence[float],
        About(
            "what is added to the first coefficients: a number for Poly-1, a sequence for Poly-N; "
            "raising it weighs confident samples more",
            domain="a number, or a sequence of them, with a warning if the loss rises with p "
            "somewhere; with epsilon_j >= -1/j it does not",
            fix="use cross_entropy for no polynomial at all",
            search=(-1.0, 6.0),
        ),
    ] = 1.0
    gamma: Annotated[
        float,
        About(
            "0 for the cross-entropy base, > 0 for the focal base; raising it silences easy "
            "samples sooner",
            within="[0, inf)",
            search=(0.0, 5.0),
        ),
    ] = 0.0

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return poly_term(self.epsilon, self.gamma)


@function_of(PolyLoss)
def poly_loss(
    input: Logits,
    target: Tensor,
    *,
    epsilon: float | Sequence[float] = 1.0,
    gamma: float = 0.0,
    **shared: Unpack[EitherLinkCall],
) -> Tensor:
    r"""PolyLoss, :math:`-q^\gamma \log p_t + \sum_j \epsilon_j q^{j+\gamma}`, :math:`q = 1 - p_t`.

    Example:
        >>> import torch
        >>> poly_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), epsilon=2.0)
        tensor(0.3653)
    """
    return p_t_loss(input, target, poly_term(epsilon, gamma), Options(**shared))


SPEC = spec_of(
    "poly",
    PolyLoss,
    poly_loss,
    summary="cross-entropy or focal loss with its first polynomial coefficients moved",
    formula=r"-q^{\gamma} \log p_t + \sum_{j=1}^{N} \epsilon_j\, q^{j+\gamma},\quad q = 1 - p_t",
    reference=Reference(
        "Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov",
        "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
        "ICLR 2022",
        "equations 5 to 7",
    ),
    differs={
        "optax": "poly_loss_cross_entropy(logits, labels, epsilon=2): equal to reduction='none' "
        "with probabilities as targets",
        "timm": "PolyCrossEntropy(epsilon=epsilon) and PolyBinaryCrossEntropy(epsilon=epsilon, "
        "gamma=gamma, alpha=alpha): equal for hard targets; both take (B, C) only",
        "abhuse/polyloss-pytorch": "Poly1FocalLoss multiplies only the focal part by alpha; here, "
        "as in the paper, both",
        "yiyixuxu/polyloss-pytorch": "weights the cross-entropy part only and averages without "
        "the weights",
    },
    examples=(
        "poly(epsilon=1)",
        "poly(epsilon=-1)",
        "poly(epsilon=[2, -0.3, 0.5])",
        "poly(epsilon=2, label_smoothing=0.1)",
        "poly(epsilon=1, gamma=0.5)",
        'poly(epsilon=1.5, gamma=2, link="sigmoid", alpha=0.25)',
    ),
    identities={
        "poly(epsilon=0)": "cross_entropy()",
        "poly(epsilon=0, gamma=2)": "focal(gamma=2)",
        "poly(epsilon=[1, 0, 0])": "poly(epsilon=1)",
    },
)
