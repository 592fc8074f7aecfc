"""A linear head without its logits: what it is, what is wanted of it, and how some are formed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.engine.gradient_tap import GradientTap
from taylored.core.links.class_sums import ClassSums


@dataclass(frozen=True, eq=False)
class Head:
    """Features (N, ..., D), weight (C, D) and bias (C,), dtype and cap of their logits.

    The memory is what the logits that exist at one time may take, in bytes; None chooses.
    """

    features: Tensor
    weight: Tensor
    bias: Tensor | None
    dtype: torch.dtype
    softcap: float | None
    memory: int | None


@dataclass(frozen=True, eq=False)
class Wanted:
    """What to find besides the loss.

    Attributes:
        features: whether the gradient on the features.
        weight: whether that on the weight.
        bias: whether that on the bias.
        sums: receives the absolute gradient on the logits per class, if given.
        tap: receives the gradient on the logits, if given.
    """

    features: bool = False
    weight: bool = False
    bias: bool = False
    sums: ClassSums | None = None
    tap: GradientTap | None = None

    def anything(self) -> bool:
        """Whether the gradient on the logits is needed."""
        reported = self.sums is not None or self.tap is not None
        return self.features or self.weight or self.bias or reported


@dataclass(frozen=True, eq=False)
class Walked:
    """What a walk finds.

    Attributes:
        loss: the sum, or the value of each position, (N[, S]).
        gradients: of the sum, on features, weight and bias, in the dtype of `gradient_dtype`.
    """

    loss: Tensor
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None]


def form(x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """The logits of some positions for some classes, before a cap."""
    if bias is None:
        torch.mm(x, weight.t(), out=out)
    else:
        torch.addmm(bias, x, weight.t(), out=out)


def cap_(z: Tensor, cap: float) -> Tensor:
    """Put c tanh(z / c) in the place of the logits; its derivative."""
    z.div_(cap).tanh_()
    bend = torch.addcmul(z.new_ones(()), z, z, value=-1)
    z.mul_(cap)
    # Where a position counts for nothing, NaN has a gradient of 0, which it is not to spoil.
    return bend.nan_to_num_(1.0)
