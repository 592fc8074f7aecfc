"""Influence-balanced loss: samples that would move the decision boundary most count less."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.engine.elementwise import Values, element_batch
from taylored.core.engine.elementwise_pass import loss_of_batch
from taylored.core.inputs.features import feature_size
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.options import Options
from taylored.core.terms.point import Point
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import WeightedCall, WeightedLoss

__all__ = ["InfluenceBalancedLoss", "influence_balanced_loss"]

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


def _loss_given(
    features: Tensor, input: Logits, target: Tensor, scale: float, options: Options
) -> Tensor:
    """The loss of logits that came from these features."""
    logits = check_input(input)
    size = feature_size(features, logits, 1.0)
    given = element_batch(logits, target, options)
    # (N, 1[, S]), finite where a position counts for nothing.
    size = size.reshape(given.logits[:, :1].shape).to(computing_dtype(given.logits))
    given = replace(given, beside=(harmless(size, given.plan.rows == 0),))
    return loss_of_batch(logits, given, influence_balanced_values(scale))


class InfluenceBalancedLoss(WeightedLoss):
    r"""Cross-entropy over its influence, :math:`s\,\mathrm{CE} / (|p - y|_1 |h|_1 + 10^{-3})`.

    How much a sample moves the decision boundary is, for a linear last layer, the size of its
    gradient there: |p - y|_1 |h|_1, h the layer's input. On long-tailed data the boundary around
    the frequent classes is overfitted to their samples; dividing by the influence undoes that. It
    is a loss for fine-tuning: the paper trains with cross-entropy for the first half, and combines
    the loss with inverse class frequencies (`weight=inverse_frequency_weights(counts)`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices, or probabilities of the
        shape of `input`; features (N, D, d1, ...), given at the call:
        `loss(logits, target, features)`. The call also takes `sample_weight` and `normalizer`.

    Example:
        >>> import torch
        >>> loss = InfluenceBalancedLoss(scale=1.0)
        >>> logits, features = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.ones(2, 4)
        >>> loss(logits, torch.tensor([0, 0]), features)
        tensor(0.2174)

    The divisor is a constant: no gradient flows through it, to the logits or to the features, as
    the paper's derivation has it. Inference: `predict` is the largest logit.
    """

    unreadable = "its weights depend on features, which are not among the outputs"
    link = "softmax"
    scale: Annotated[
        float,
        About(
            "factor on the loss, the paper's alpha; raising it makes up for how small the quotient "
            "is, as a larger learning rate would",
            within="(0, inf)",
            fix="1000 to 10000 are published",
            search=(100.0, 10_000.0, "log"),
        ),
    ] = 1000.0

    # The call takes the features too: the influence on the last layer is the size of its input.
    def forward(  # type: ignore[override]
        self,
        input: Logits,
        target: Tensor,
        features: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets, given the features that the logits came from."""
        return self._enter(self.class_dim, normalizer, input, target, sample_weight, features)

    def evaluate(  # type: ignore[override]
        self, input: Logits, target: Tensor, options: Options, features: Tensor
    ) -> Tensor:
        """The loss of logits that came from these features."""
        return _loss_given(features, input, target, self.scale, options)

    if TYPE_CHECKING:

        def __call__(  # type: ignore[override]
            self,
            input: Logits,
            target: Tensor,
            features: Tensor,
            *,
            sample_weight: Tensor | None = None,
            normalizer: float | Tensor | None = None,
        ) -> Tensor:
            """The loss of logits against targets, given the features they came from."""
            ...


@function_of(InfluenceBalancedLoss)
def influence_balanced_loss(
    input: Logits,
    target: Tensor,
    features: Tensor,
    *,
    scale: float = 1000.0,
    **shared: Unpack[WeightedCall],
) -> Tensor:
    r"""Cross-entropy over its influence, :math:`s\,\mathrm{CE} / (|p - y|_1 |h|_1 + 10^{-3})`.

    Shape:
        As for the module: features (N, D, d1, ...) come after input and target.

    Example:
        >>> import torch
        >>> logits, features = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, -1.0]])
        >>> influence_balanced_loss(logits, torch.tensor([0]), features, scale=1.0)
        tensor(0.1330)
    """
    return _loss_given(features, input, target, scale, Options(**shared))


SPEC = spec_of(
    "influence_balanced",
    InfluenceBalancedLoss,
    influence_balanced_loss,
    summary="cross-entropy over how much a sample moves the decision boundary; for fine-tuning",
    formula=r"\frac{s\,(-\log p_t)}{\lVert p - y \rVert_1 \lVert h \rVert_1 + 10^{-3}}",
    reference=Reference(
        "Park, Lim, Jeon, Choi",
        "Influence-Balanced Loss for Imbalanced Visual Classification",
        "ICCV 2021",
        "equations 8 and 9",
    ),
    differs={
        "pseulki/IB-Loss": "IBLoss(alpha=scale) takes the norms |h|_1 instead of h; its divisor "
        "stays in the graph, so that its gradients differ (and reach the features). With `weight` "
        "it divides by N: reduction='batch_mean' here. Its focal form raises 1 - p^w to gamma, "
        "with the class weight w inside",
    },
    examples=("influence_balanced()", "influence_balanced(scale=3)"),
    call="features",
)
