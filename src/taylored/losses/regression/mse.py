"""Mean squared error."""

from __future__ import annotations

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["MSELoss", "mse_loss"]


def mse_values(input: Tensor, target: Tensor) -> Tensor:
    """d^2."""
    return F.mse_loss(input, target, reduction="none")


class MSELoss(ValueLoss):
    r"""Squared error, :math:`d^2`, whose minimum is the mean.

    Of a probability behind a sigmoid it is the Brier score, whose gradient on the logit,
    2 (p - y) p (1 - p), vanishes where a prediction is confident and wrong: use
    `BinaryCrossEntropyLoss` there, whose gradient is p - y.

    Example:
        >>> import torch
        >>> MSELoss()(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(4.6250)
    """

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return mse_values(input, target)


@function_of(MSELoss)
def mse_loss(
    input: Tensor,
    target: Tensor,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Squared error, :math:`d^2`, whose minimum is the mean.

    Example:
        >>> import torch
        >>> mse_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.2500, 9.0000])
    """
    check_alike(input=input, target=target)
    return value_loss(mse_values, input, target, **shared)


SPEC = spec_of(
    "mse",
    MSELoss,
    mse_loss,
    summary="squared error; its minimum is the mean",
    formula=r"d^2",
    value_range="[0, inf)",
    reference=Reference("Gauss", "Theoria motus corporum coelestium", "1809", "section 179"),
    differs={
        "torch": "nn.MSELoss: the same values; shapes that differ are broadcast with a warning "
        "there, and refused here",
    },
    examples=("mse()",),
)
