"""Smooth L1: squared near zero, absolute beyond beta."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["SmoothL1Loss", "smooth_l1_loss"]


def smooth_l1_values(input: Tensor, target: Tensor, beta: float) -> Tensor:
    """d^2 / (2 beta) for |d| < beta, else |d| - beta / 2 (Girshick 2015, equation 3)."""
    return F.smooth_l1_loss(input, target, reduction="none", beta=beta)


class SmoothL1Loss(ValueLoss):
    r"""Smooth L1, :math:`d^2 / 2\beta` for :math:`|d| < \beta`, else :math:`|d| - \beta / 2`.

    It is Huber's loss divided by beta: the two are equal at beta = delta = 1 only. As beta falls to
    0 it becomes L1, whose gradient has size 1 everywhere; Huber's becomes 0.

    Example:
        >>> import torch
        >>> loss = SmoothL1Loss(beta=1.0)
        >>> loss(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(1.3125)
    """

    beta: Annotated[
        float,
        About(
            "where it turns from squared to absolute; raising it treats larger errors as small and "
            "lowers their gradient",
            within="[0, inf)",
            search=(0.05, 2.0, "log"),
        ),
    ] = 1.0

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return smooth_l1_values(input, target, self.beta)


@function_of(SmoothL1Loss)
def smooth_l1_loss(
    input: Tensor, target: Tensor, *, beta: float = 1.0, **shared: Unpack[ValueCall]
) -> Tensor:
    r"""Smooth L1, :math:`d^2 / 2\beta` for :math:`|d| < \beta`, else :math:`|d| - \beta / 2`.

    Example:
        >>> import torch
        >>> smooth_l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.1250, 2.5000])
    """
    check_alike(input=input, target=target)
    return value_loss(functools.partial(smooth_l1_values, beta=beta), input, target, **shared)


SPEC = spec_of(
    "smooth_l1",
    SmoothL1Loss,
    smooth_l1_loss,
    summary="squared error near zero, absolute error beyond beta; Huber's loss over beta",
    formula=r"d^2 / 2\beta \text{ if } |d| < \beta \text{ else } |d| - \beta / 2",
    reference=Reference("Girshick", "Fast R-CNN", "ICCV 2015", "equation 3"),
    differs={
        "torch": "nn.SmoothL1Loss(beta=beta): the same values; shapes that differ are broadcast "
        "with a warning there, and refused here",
        "Keras": "Huber(delta): beta times this loss, the mean over the last axis first",
    },
    examples=("smooth_l1()", "smooth_l1(beta=0.1)", "smooth_l1(beta=0)"),
)
