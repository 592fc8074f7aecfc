"""Quantile (pinball) loss: its minimum is a quantile of the target."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["QuantileLoss", "quantile_loss"]


def quantile_values(input: Tensor, target: Tensor, quantile: float) -> Tensor:
    """max(tau d, (tau - 1) d), d the target minus the input (Koenker and Bassett 1978)."""
    error = target - input
    return torch.maximum(quantile * error, (quantile - 1.0) * error)


class QuantileLoss(ValueLoss):
    r"""Quantile loss, :math:`\max(\tau d, (\tau - 1) d)`, d the target less the input.

    Train one output per quantile, each with a loss of its own, for intervals of prediction.

    Example:
        >>> import torch
        >>> QuantileLoss(quantile=0.9)(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(0.1750)
    """

    quantile: Annotated[
        float,
        About(
            "which quantile the minimum is; raising it makes predictions that are too low "
            "costlier, so "
            "that they rise",
            within="(0, 1)",
            search=(0.05, 0.95),
        ),
    ] = 0.5

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return quantile_values(input, target, self.quantile)


@function_of(QuantileLoss)
def quantile_loss(
    input: Tensor,
    target: Tensor,
    *,
    quantile: float = 0.5,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Quantile loss, :math:`\max(\tau d, (\tau - 1) d)`, d the target less the input.

    Example:
        >>> import torch
        >>> quantile_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), quantile=0.9, reduction="none")
        tensor([0.0500, 0.3000])
    """
    check_alike(input=input, target=target)
    return value_loss(
        functools.partial(quantile_values, quantile=quantile), input, target, **shared
    )


SPEC = spec_of(
    "quantile",
    QuantileLoss,
    quantile_loss,
    summary="its minimum is a quantile of the target, not the mean",
    formula=r"\max(\tau d, (\tau - 1) d),\ d = y - x",
    value_range="[0, inf)",
    reference=Reference(
        "Koenker, Bassett", "Regression Quantiles", "Econometrica 1978", "equation 3.1"
    ),
    differs={
        "scikit-learn": "mean_pinball_loss(y, x, alpha=quantile): the same mean; the target comes "
        "first there",
        "L1": "half of it at quantile 0.5",
    },
    examples=("quantile()", "quantile(quantile=0.9)"),
)
