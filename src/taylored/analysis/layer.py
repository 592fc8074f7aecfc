"""What reaches the classifier: gradients of logits, weights and biases, class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from taylored.analysis.drawing import canvas
from taylored.analysis.named import LossFunction, gradient
from taylored.core.checks import fail

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """Gradients of a linear layer, of the sum over a batch as the loss reduces it.

    Args:
        logits: (N, C). For cross-entropy with reduction "sum" it is p - y.
        weight: (C, D): the logits' gradients times the features, :math:`g^T x`.
        bias: (C,): the logits' gradients, added over the samples.
        own: (C,): absolute gradients of the logit of a class from its own samples.
        others: (C,): the same from the samples of all other classes.

    """

    logits: Tensor
    weight: Tensor
    bias: Tensor
    own: Tensor
    others: Tensor

    @property
    def balance(self) -> Tensor:
        """Own over others, (C,): far below 1, a class is mostly pushed down by other classes."""
        return self.own / self.others

    def draw(self, axes: Axes | None = None) -> tuple[Figure, Axes]:
        """For every class, what pulls its logit up and what pushes it down."""
        figure, axes = canvas(axes)
        classes = range(len(self.own))
        axes.bar(classes, self.own.numpy(), label="own samples")
        axes.bar(classes, (-self.others).numpy(), label="samples of other classes")
        axes.axhline(0, color="gray", linewidth=0.5)
        axes.set(xlabel="class", ylabel="absolute gradient of the logit")
        axes.legend(frameon=False)
        return figure, axes


def layer_gradients(
    loss: LossFunction, features: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None = None
) -> LayerGradients:
    r"""Gradients of a linear classifier, :math:`\partial L / \partial W = g^T x`, in float64.

    Args:
        loss: a module or function of logits and target.
        features: (N, D).
        weight: (C, D), as in `nn.Linear`.
        target: class indices (N,), or floats (N, C) whose values above 0.5 are a class's own.
        bias: (C,).

    Returns:
        `LayerGradients`.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        Rare classes are mostly pushed down, because most samples are others':

        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> features, weight = torch.ones(10, 1), torch.zeros(2, 1)
        >>> target = torch.tensor([0] * 9 + [1])
        >>> found = layer_gradients(CrossEntropyLoss(reduction="sum"), features, weight, target)
        >>> found.weight.flatten().tolist(), found.balance.tolist()
        ([-4.0, 4.0], [9.0, 0.1111111111111111])

    Reference:
        Tan et al., *Equalization Loss v2*, CVPR 2021, section 3 (balance).
    """
    if features.dim() != 2 or weight.dim() != 2 or features.shape[1] != weight.shape[1]:
        fail("features", f"(N, {weight.shape[-1]}), as wide as the weight",
             tuple(features.shape), "pass the inputs of the last layer, flattened")  # fmt: skip
    x, w = features.detach().double(), weight.detach().double()
    logits = x @ w.T if bias is None else x @ w.T + bias.detach().double()
    wide = target.double() if target.is_floating_point() else target
    _, slope = gradient(loss, logits, wide)
    mine = wide > 0.5 if wide.shape == slope.shape else _hot(target, slope)
    size = slope.abs()
    own, others = (size * mine).sum(0), (size * ~mine).sum(0)
    return LayerGradients(slope, slope.T @ x, slope.sum(0), own, others)


def _hot(target: Tensor, slope: Tensor) -> Tensor:
    """Whether a logit is that of the sample's class, (N, C)."""
    if target.shape != slope.shape[:1]:
        fail("target", f"({slope.shape[0]},) or {tuple(slope.shape)}",
             tuple(target.shape), "one class per row of features")  # fmt: skip
    return target.unsqueeze(1) == torch.arange(slope.shape[1])
