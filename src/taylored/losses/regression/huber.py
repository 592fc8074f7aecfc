"""Huber's loss: squared near zero, linear beyond delta."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["HuberLoss", "huber_loss"]


def huber_values(input: Tensor, target: Tensor, delta: float) -> Tensor:
    """d^2 / 2 for |d| < delta, else delta (|d| - delta / 2) (Huber 1964)."""
    return F.huber_loss(input, target, reduction="none", delta=delta)


class HuberLoss(ValueLoss):
    r"""Huber's loss, :math:`d^2 / 2` up to delta, :math:`\delta |d| - \delta^2 / 2` beyond.

    Example:
        >>> import torch
        >>> HuberLoss(delta=1.0)(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(1.3125)
    """

    delta: Annotated[
        float,
        About(
            "where it turns from squared to linear; raising it treats larger errors as noise of a "
            "Gaussian, and lets outliers pull harder",
            within="(0, inf)",
            search=(0.05, 5.0, "log"),
        ),
    ] = 1.0

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return huber_values(input, target, self.delta)


@function_of(HuberLoss)
def huber_loss(
    input: Tensor,
    target: Tensor,
    *,
    delta: float = 1.0,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Huber's loss, :math:`d^2 / 2` up to delta, :math:`\delta |d| - \delta^2 / 2` beyond.

    Example:
        >>> import torch
        >>> huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.1250, 2.5000])
    """
    check_alike(input=input, target=target)
    return value_loss(functools.partial(huber_values, delta=delta), input, target, **shared)


SPEC = spec_of(
    "huber",
    HuberLoss,
    huber_loss,
    summary="squared error near zero, linear beyond delta",
    formula=r"d^2 / 2 \text{ if } |d| < \delta \text{ else } \delta (|d| - \delta / 2)",
    value_range="[0, inf)",
    reference=Reference(
        "Huber",
        "Robust Estimation of a Location Parameter",
        "Annals of Mathematical Statistics 1964",
        "equation 1.8",
    ),
    differs={
        "torch": "nn.HuberLoss(delta=delta): the same values",
        "smooth L1": "SmoothL1Loss(beta=delta) times delta; equal at 1 only",
    },
    examples=("huber()", "huber(delta=0.3)"),
    identities={
        "huber(delta=1)": "smooth_l1(beta=1)",
    },
)
