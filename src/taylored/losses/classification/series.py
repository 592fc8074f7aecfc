"""Series loss: any coefficients of the powers of 1 - p_t."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.terms.elementary import series
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Spec, describe, hold


def series_term(coefficients: Sequence[float]) -> Term:
    """Sum of a_j (1 - p)^j (Leng et al. 2022, equation 1)."""
    return series(coefficients)


def series_loss(
    input: Logits,
    target: Tensor,
    *,
    coefficients: Sequence[float] = (1.0,),
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
    r"""A loss from its coefficients, :math:`\sum_{j=1}^{J} a_j (1 - p_t)^j`.

    The functional form of `SeriesLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> series_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), coefficients=[1, 0.5])
        tensor(0.1263)
    """
    return p_t_loss(
        input,
        target,
        series_term(coefficients),
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


class SeriesLoss(nn.Module):
    r"""A loss from its coefficients, :math:`\sum_{j=1}^{J} a_j (1 - p_t)^j`.

    The general member of the PolyLoss family, for coefficients that were searched or learned
    elsewhere. With every a_j >= 0 the loss falls as p_t rises; negative coefficients are allowed
    and may break that.

    Args:
        coefficients: a_1, a_2, ...; raising a low one weighs confident samples more, raising a high
            one weighs badly wrong samples more. The default (1,) is the mean absolute error.
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
        (sigmoid), in [0, sum of a_j] for a_j >= 0; float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> SeriesLoss(coefficients=[3.0, 0.5])(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.3647)

    Reference:
        Leng et al., PolyLoss, ICLR 2022, equation 1.
    """

    weight: Tensor | None
    alpha: float | Tensor | None
    pos_weight: float | Tensor | None

    def __init__(
        self,
        *,
        coefficients: Sequence[float] = (1.0,),
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
        self.coefficients = tuple(float(a) for a in coefficients)
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        hold(self, "pos_weight", pos_weight)
        check_fields(self, self.link)
        series_term(self.coefficients)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return series_term(self.coefficients)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return series_loss(
            input,
            target,
            coefficients=self.coefficients,
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
    name="series",
    family="classification",
    module=SeriesLoss,
    function=series_loss,
    summary="any coefficients of the powers of 1 - p_t",
    formula=r"\sum_{j=1}^{J} a_j (1 - p_t)^j",
    parameters=(
        Parameter(
            "coefficients",
            (1.0,),
            "at least one number",
            "a_j; raising low ones weighs confident samples, high ones badly wrong samples",
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
    value_range="[0, sum of the coefficients] for coefficients >= 0",
    denominator="index: sum of the targets' weights; probabilities: positions; sigmoid: elements",
    reference=Reference(
        "Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov",
        "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
        "ICLR 2022",
        "equation 1",
    ),
    differs=(),
    examples=(
        "series(coefficients=[1, 0.5])",
        "series(coefficients=[3, 0, 0.3, 0.25])",
        'series(coefficients=[1, 0.2], link="sigmoid", alpha=0.25)',
    ),
    identities=(("series(coefficients=[1])", "taylor(num_terms=1)"),),
)
