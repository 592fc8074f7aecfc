"""Jensen-Shannon loss: the divergence of label and prediction from their mixture."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.noise_robust import jensen_shannon
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold


def jensen_shannon_term(pi: float) -> Term:
    """Normalised divergence of a hard label of weight pi (Englesson and Azizpour 2021, eq. 4)."""
    return jensen_shannon(pi)


def jensen_shannon_loss(
    input: Logits,
    target: Tensor,
    *,
    pi: float = 0.5,
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
    r"""Jensen-Shannon loss, the divergence of label and prediction with weights pi and 1 - pi.

    The functional form of `JensenShannonLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> jensen_shannon_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1247)
    """
    return p_t_loss(
        input,
        target,
        jensen_shannon_term(pi),
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


class JensenShannonLoss(nn.Module):
    r"""Jensen-Shannon loss, the divergence of label and prediction with weights pi and 1 - pi.

    With c = 1 - pi and the mixture m = pi y + c p: (pi KL(y || m) + c KL(p || m)) / (-c log c).
    For a hard label every other class adds its p_k times the same number, which leaves a function
    of p_t alone, 1 - p_t + (c p_t log p_t - m_t log m_t) / (-c log c).

    The derivative -log(m_t / (c p_t)) / -log c falls from 1 / p_t to 1 as pi rises. In the algebra
    it is `terms.jensen_shannon(pi)`; `GeneralizedJensenShannonLoss` adds consistency between
    several predictions of one sample.

    Args:
        pi: weight of the label in the mixture, in (0, 1). Raising it forgives badly wrong samples
            more, and learns slower: towards 0 it is cross-entropy, towards 1 the mean absolute
            error.
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
        A scalar, or with reduction="none" one value per position (softmax) or element (sigmoid),
        in [0, 1 + pi log(pi) / (c log c)]; float32 for half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = JensenShannonLoss(pi=0.3)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        tensor(1.0698)

    Soft targets: the loss is sum_k y_k phi(p_k), the expected loss under the target, not the
    divergence from the soft label itself.

    Differs from:
        ErikEnglesson/GJS: JensenShannonDivergenceWeightedScaled(weights='pi 1-pi'): equal, up to
            its clamp of probabilities at 1e-7 before the logarithms; takes (N, C) and class indices
            only.

    Reference:
        Englesson and Azizpour, Generalized Jensen-Shannon Divergence Loss for Learning with Noisy
        Labels, NeurIPS 2021, equation 4.
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        pi: float = 0.5,
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
        self.pi = pi
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)
        jensen_shannon_term(pi)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return jensen_shannon_term(self.pi)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return jensen_shannon_loss(
            input,
            target,
            pi=self.pi,
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
    name="jensen_shannon",
    family="noise-robust",
    module=JensenShannonLoss,
    function=jensen_shannon_loss,
    summary="divergence of label and prediction from their mixture; between CE and 1 - p_t",
    formula=r"\frac{\pi\,\mathrm{KL}(y\,\|\,m) + (1-\pi)\,\mathrm{KL}(p\,\|\,m)}"
    r"{-(1-\pi)\log(1-\pi)},"
    r"\quad m = \pi y + (1-\pi) p",
    parameters=(
        Parameter(
            "pi",
            0.5,
            "number in (0, 1), from 1e-9 to 1 - 1e-9",
            "weight of the label; raising it forgives wrong labels more and learns slower",
            Search(0.05, 0.95),
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
    value_range="[0, 1 + pi log pi / ((1 - pi) log(1 - pi))]",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Englesson, Azizpour",
        "Generalized Jensen-Shannon Divergence Loss for Learning with Noisy Labels",
        "NeurIPS 2021",
        "equation 4",
    ),
    differs=(
        (
            "ErikEnglesson/GJS",
            "JensenShannonDivergenceWeightedScaled(weights='pi 1-pi'): equal, up to its clamp of "
            "probabilities at 1e-7 before the logarithms; takes (N, C) and class indices only",
        ),
    ),
    examples=(
        "jensen_shannon(pi=0.5)",
        'jensen_shannon(pi=0.1, link="sigmoid", pos_weight=3)',
    ),
    identities=(),
)
