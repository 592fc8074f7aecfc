"""PolyLoss: cross-entropy or focal loss with its first polynomial coefficients moved."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.cache import remembered
from taylored.core.terms.elementary import nll, power
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec import Parameter, Reference, Search, Spec, describe, hold


@remembered
def poly_term(epsilon: float | Sequence[float], gamma: float) -> Term:
    """-q^gamma log p + sum of epsilon_j q^(j + gamma) (Leng et al. 2022, equations 5 to 7)."""
    steps = (epsilon,) if isinstance(epsilon, (int, float)) else tuple(epsilon)
    if not steps:
        fail("epsilon", "a number or at least one number", "an empty list", "use cross_entropy")
    in_range("gamma", gamma, 0.0, float("inf"), "0 is the cross-entropy base", interval="[)")
    for j, step in enumerate(steps, start=1):
        in_range(
            f"epsilon[{j - 1}]", step, -1.0 / j, float("inf"),
            f"below -1/{j} the coefficient of (1 - p)^{j} is negative and the loss rises with p",
            interval="[)",
        )  # fmt: skip
    term = nll if gamma == 0.0 else power(gamma) * nll
    for j, step in enumerate(steps, start=1):
        term = term + step * power(gamma + j)
    return term


def poly_loss(
    input: Logits,
    target: Tensor,
    *,
    epsilon: float | Sequence[float] = 1.0,
    gamma: float = 0.0,
    link: LinkName = "softmax",
    weight: PerClass | None = None,
    alpha: float | PerClass | None = None,
    pos_weight: float | PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""PolyLoss, :math:`-q^\gamma \log p_t + \sum_j \epsilon_j q^{j+\gamma}`, :math:`q = 1 - p_t`.

    The functional form of `PolyLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> poly_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), epsilon=2.0)
        tensor(0.3653)
    """
    return p_t_loss(
        input,
        target,
        poly_term(epsilon, gamma),
        Options(
            link=link,
            weight=weight,
            alpha=alpha,
            pos_weight=pos_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class PolyLoss(nn.Module):
    r"""PolyLoss, :math:`-q^\gamma \log p_t + \sum_j \epsilon_j q^{j+\gamma}`, :math:`q = 1 - p_t`.

    Cross-entropy is the series sum of q^j / j; PolyLoss moves its first coefficients and leaves the
    rest. One number is Poly-1, which the paper finds to be enough: it multiplies cross-entropy's
    gradient by 1 + epsilon p_t, so that epsilon > 0 keeps pushing confident samples and
    epsilon = -1 lets go of them.

    Args:
        epsilon: what is added to the first coefficients, epsilon_j >= -1/j; a number (Poly-1) or a
            sequence (Poly-N). Raising it weighs confident samples more. The paper's listing uses
            1; published optima are 2 (ImageNet) and -1 (detection): tune it on your data.
        gamma: 0 for the cross-entropy base, > 0 for the focal base. Raising it silences easy
            samples sooner.
        link: "softmax" for one true class per position, "sigmoid" for independent yes / no classes
            (detection, multi-label).
        weight: one number per class; raising a class's weight favours it.
        alpha: weight of positives, with 1 - alpha for negatives; sigmoid only, a number or one per
            class in [0, 1]. Raising it raises recall.
        pos_weight: multiplies the loss of positives only; sigmoid only. Raising it raises recall.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits (or (N,) with the sigmoid link); target (N, d1, ...) class
        indices, or the shape of `input` with probabilities or 0 / 1. The call also takes
        `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position (softmax) or element
        (sigmoid), in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = PolyLoss(epsilon=-1.0, gamma=2.0, link="sigmoid", alpha=0.25)
        >>> loss(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]))
        tensor(0.0181)

    `weight`, `alpha` and a smoothed or mixed target enter both parts, as in the paper's appendix.

    Differs from:
        optax: poly_loss_cross_entropy(logits, labels, epsilon=2): equal to reduction='none' with
            probabilities as targets.
        timm: PolyCrossEntropy(epsilon=epsilon) and PolyBinaryCrossEntropy(epsilon=epsilon,
            gamma=gamma, alpha=alpha): equal for hard targets; both take (B, C) only.
        abhuse/polyloss-pytorch: Poly1FocalLoss multiplies only the focal part by alpha; here, as in
            the paper, both.
        yiyixuxu/polyloss-pytorch: weights the cross-entropy part only and averages without the
            weights.

    Reference:
        Leng et al., PolyLoss, ICLR 2022, equations 5 to 7 and appendix.
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        epsilon: float | Sequence[float] = 1.0,
        gamma: float = 0.0,
        link: LinkName = "softmax",
        weight: PerClass | None = None,
        alpha: float | PerClass | None = None,
        pos_weight: float | PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.link = link
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.epsilon = float(epsilon) if isinstance(epsilon, (int, float)) else tuple(epsilon)
        self.gamma = float(gamma)
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)
        poly_term(self.epsilon, self.gamma)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return poly_term(self.epsilon, self.gamma)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return poly_loss(
            input,
            target,
            epsilon=self.epsilon,
            gamma=self.gamma,
            link=self.link,
            weight=self.weight,
            alpha=self.alpha,
            pos_weight=self.pos_weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="poly",
    family="classification",
    module=PolyLoss,
    function=poly_loss,
    summary="cross-entropy or focal loss with its first polynomial coefficients moved",
    formula=r"-q^{\gamma} \log p_t + \sum_{j=1}^{N} \epsilon_j\, q^{j+\gamma},\quad q = 1 - p_t",
    parameters=(
        Parameter(
            "epsilon",
            1.0,
            "number >= -1, or a sequence with epsilon_j >= -1/j",
            "moves the first coefficients; raising it weighs confident samples more",
            Search(-1.0, 6.0),
        ),
        Parameter(
            "gamma",
            0.0,
            "number >= 0",
            "0: cross-entropy base, > 0: focal base; raising it silences easy samples",
            Search(0.0, 5.0),
        ),
    ),
    shared=(
        "link",
        "weight",
        "alpha",
        "pos_weight",
        "ignore_index",
        "label_smoothing",
        "reduction",
    ),
    links=("softmax", "sigmoid"),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov",
        "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
        "ICLR 2022",
        "equations 5 to 7",
    ),
    differs=(
        (
            "optax",
            "poly_loss_cross_entropy(logits, labels, epsilon=2): equal to reduction='none' with "
            "probabilities as targets",
        ),
        (
            "timm",
            "PolyCrossEntropy(epsilon=epsilon) and PolyBinaryCrossEntropy(epsilon=epsilon, "
            "gamma=gamma, alpha=alpha): equal for hard targets; both take (B, C) only",
        ),
        (
            "abhuse/polyloss-pytorch",
            "Poly1FocalLoss multiplies only the focal part by alpha; here, as in the paper, both",
        ),
        (
            "yiyixuxu/polyloss-pytorch",
            "weights the cross-entropy part only and averages without the weights",
        ),
    ),
    examples=(
        "poly(epsilon=1)",
        "poly(epsilon=-1)",
        "poly(epsilon=[2, -0.3, 0.5])",
        "poly(epsilon=2, label_smoothing=0.1)",
        "poly(epsilon=1, gamma=0.5)",
        'poly(epsilon=1.5, gamma=2, link="sigmoid", alpha=0.25)',
    ),
    identities=(
        ("poly(epsilon=0)", "cross_entropy()"),
        ("poly(epsilon=0, gamma=2)", "focal(gamma=2)"),
        ("poly(epsilon=[1, 0, 0])", "poly(epsilon=1)"),
    ),
)
