"""Influence-balanced loss: samples that would move the decision boundary most count less."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.engine.elementwise import Own, Values, own
from taylored.core.engine.elementwise_pass import loss_of
from taylored.core.inputs.targets import check_input
from taylored.core.plan.options import LinkName, Options, PerClass, Reduction
from taylored.core.plan.plan import computing_dtype
from taylored.core.terms.point import Point
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import Parameter, Reference, Search, Spec, describe, hold

_EPSILON = 1e-3
"""What the official code adds to the influence."""


def influence_balanced_values(scale: float) -> Values:
    """Cross-entropy over the influence |p - y|_1 |h|_1, the last layer's gradient (eq. 8, 9)."""

    def values(at: Point, y: Tensor, size: Tensor) -> Tensor:
        share = scale / (influence(at.margin, y, size) + _EPSILON)
        return y * -at.log_p * share

    return values


@torch.no_grad()
def influence(x: Tensor, y: Tensor, size: Tensor) -> Tensor:
    """|p - y|_1 |h|_1 of each position, (N, 1[, S])."""
    # p - y without taking p from 1.
    distance = y * torch.sigmoid(-x) - (1.0 - y) * torch.sigmoid(x)
    return distance.abs().sum(dim=1, keepdim=True) * size


def feature_size(features: Tensor, given: Own) -> Tensor:
    """|h|_1 of each position, (N, 1[, S]); 0 where it is ignored."""
    dtype = computing_dtype(features)
    size = torch.linalg.vector_norm(features.detach(), ord=1, dim=1, dtype=dtype)
    size = size.reshape(given.logits[:, :1].shape).to(computing_dtype(given.logits))
    return size if given.kept is None else torch.where(given.kept, size, 0.0)


def influence_balanced_loss(
    input: Tensor,
    target: Tensor,
    features: Tensor,
    *,
    scale: float = 1000.0,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy over its influence, :math:`s\,\mathrm{CE} / (|p - y|_1 |h|_1 + 10^{-3})`.

    The functional form of `InfluenceBalancedLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> logits, features = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, -1.0]])
        >>> influence_balanced_loss(logits, torch.tensor([0]), features, scale=1.0)
        tensor(0.1330)
    """
    in_range("scale", scale, 0.0, float("inf"), "1000 to 10000 are published", interval="()")
    _check_features(input, features)
    options = Options(
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weight=sample_weight,
        normalizer=normalizer,
    )
    given = own(input, target, options)
    given = replace(given, beside=(feature_size(features, given),))
    return loss_of(input, given, influence_balanced_values(scale))


def _check_features(input: Tensor, features: Tensor) -> None:
    check_input(input)
    fits = isinstance(features, Tensor) and features.is_floating_point()
    positions = input.shape[:1] + input.shape[2:]
    if input.dim() < 2 or not fits or features.shape[:1] + features.shape[2:] != positions:
        got = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else repr(features)
        fail(
            "features",
            "what the last layer is given, floating point (N, D, d1, ...), for input (N, C, d1, "
            f"...), here {tuple(input.shape)}",
            got,
            "return the features beside the logits",
        )


class InfluenceBalancedLoss(nn.Module):
    r"""Cross-entropy over its influence, :math:`s\,\mathrm{CE} / (|p - y|_1 |h|_1 + 10^{-3})`.

    How much a sample moves the decision boundary is, for a linear last layer, the size of its
    gradient there: |p - y|_1 |h|_1, h the layer's input. On long-tailed data the boundary around
    the frequent classes is overfitted to their samples; dividing by the influence undoes that. It
    is a loss for fine-tuning: the paper trains with cross-entropy for the first half.

    Args:
        scale: s > 0 (the paper's alpha). It only scales the loss, and with it the learning rate;
            raising it makes up for how small the quotient is. Published: 1000 to 10000.
        weight: one number per class; raising a class's weight favours it. The paper combines the
            loss with inverse class frequencies (`inverse_frequency_weights`).
        ignore_index: positions with this target count for nothing. None: off.
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices, or probabilities of the
        shape of `input`; features (N, D, d1, ...), given at the call:
        `loss(logits, target, features)`. The call also takes `sample_weight` and `normalizer`.

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = InfluenceBalancedLoss(scale=1.0)
        >>> logits, features = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.ones(2, 4)
        >>> loss(logits, torch.tensor([0, 0]), features)
        tensor(0.2174)

    The divisor is a constant: no gradient flows through it, to the logits or to the features, as
    the paper's derivation has it.

    Differs from:
        pseulki/IB-Loss: IBLoss(alpha=scale) takes the norms |h|_1 instead of h; its divisor stays
            in the graph, so that its gradients differ (and reach the features). With `weight` it
            divides by N: reduction='batch_mean' here. Its focal form raises 1 - p^w to gamma, with
            the class weight w inside.

    Reference:
        Park et al., Influence-Balanced Loss for Imbalanced Visual Classification, ICCV 2021,
        equations 8 and 9.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        scale: float = 1000.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        in_range("scale", scale, 0.0, float("inf"), "1000 to 10000 are published", interval="()")
        self.scale = scale
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def link(self) -> LinkName:
        """How logits become probabilities."""
        return "softmax"

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        features: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets, given the features that the logits came from."""
        return influence_balanced_loss(
            input,
            target,
            features,
            scale=self.scale,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="influence_balanced",
    family="long-tail",
    module=InfluenceBalancedLoss,
    function=influence_balanced_loss,
    summary="cross-entropy over how much a sample moves the decision boundary; for fine-tuning",
    formula=r"\frac{s\,(-\log p_t)}{\lVert p - y \rVert_1 \lVert h \rVert_1 + 10^{-3}}",
    parameters=(
        Parameter(
            "scale",
            1000.0,
            "number > 0",
            "factor on the loss; raising it makes up for how small the quotient is",
            Search(100.0, 10_000.0, "log"),
        ),
    ),
    shared=("weight", "ignore_index", "reduction"),
    links=("softmax",),
    targets=("index", "probabilities"),
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions",
    reference=Reference(
        "Park, Lim, Jeon, Choi",
        "Influence-Balanced Loss for Imbalanced Visual Classification",
        "ICCV 2021",
        "equations 8 and 9",
    ),
    differs=(
        (
            "pseulki/IB-Loss",
            "IBLoss(alpha=scale) takes the norms |h|_1 instead of h; its divisor stays in the "
            "graph, so that its gradients differ (and reach the features). With `weight` it "
            "divides by N: reduction='batch_mean' here. Its focal form raises 1 - p^w to gamma, "
            "with the class weight w inside",
        ),
    ),
    examples=("influence_balanced()",),
    call="features",
)
