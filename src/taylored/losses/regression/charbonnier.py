"""Charbonnier's loss: a smooth absolute error."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["CharbonnierLoss", "charbonnier_loss"]


def charbonnier_values(input: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """sqrt(d^2 + epsilon^2) (Lai et al. 2017, equation 4)."""
    return torch.hypot(input - target, torch.full_like(input, epsilon))


class CharbonnierLoss(ValueLoss):
    r"""Charbonnier's loss, :math:`\sqrt{d^2 + \epsilon^2}`.

    Square root and square are taken together (hypot), so that neither overflows nor loses small
    errors.

    Example:
        >>> import torch
        >>> CharbonnierLoss()(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(1.7500)
    """

    epsilon: Annotated[
        float,
        About(
            "width of the rounded corner at zero, and the smallest value of the loss; raising it "
            "makes "
            "small errors count as squared ones",
            within="(0, inf)",
            search=(1e-4, 1.0, "log"),
        ),
    ] = 1e-3

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return charbonnier_values(input, target, self.epsilon)


@function_of(CharbonnierLoss)
def charbonnier_loss(
    input: Tensor,
    target: Tensor,
    *,
    epsilon: float = 1e-3,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Charbonnier's loss, :math:`\sqrt{d^2 + \epsilon^2}`.

    Example:
        >>> import torch
        >>> charbonnier_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.5000, 3.0000])
    """
    check_alike(input=input, target=target)
    return value_loss(
        functools.partial(charbonnier_values, epsilon=epsilon), input, target, **shared
    )


SPEC = spec_of(
    "charbonnier",
    CharbonnierLoss,
    charbonnier_loss,
    summary="a smooth absolute error, usual in image restoration",
    formula=r"\sqrt{d^2 + \epsilon^2}",
    value_range="[epsilon, inf)",
    reference=Reference(
        "Lai, Huang, Ahuja, Yang",
        "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution",
        "CVPR 2017",
        "equation 4",
    ),
    differs={
        "kornia": "charbonnier_loss: sqrt(d^2 + 1) - 1, this loss with epsilon 1 less its "
        "smallest value",
    },
    examples=("charbonnier()", "charbonnier(epsilon=0.5)"),
)
