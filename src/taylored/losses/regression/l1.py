"""L1: absolute error."""

from __future__ import annotations

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["L1Loss", "l1_loss"]


def l1_values(input: Tensor, target: Tensor) -> Tensor:
    """|d|."""
    return F.l1_loss(input, target, reduction="none")


class L1Loss(ValueLoss):
    r"""Absolute error, :math:`|d|`, whose minimum is the median.

    Its gradient has size 1 however large the error is, so that outliers do not rule the mean; near
    the minimum it does not become smaller either, which smooth L1 and Huber mend.

    Example:
        >>> import torch
        >>> L1Loss()(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(1.7500)
    """

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return l1_values(input, target)


@function_of(L1Loss)
def l1_loss(
    input: Tensor,
    target: Tensor,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Absolute error, :math:`|d|`, whose minimum is the median.

    Example:
        >>> import torch
        >>> l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.5000, 3.0000])
    """
    check_alike(input=input, target=target)
    return value_loss(l1_values, input, target, **shared)


SPEC = spec_of(
    "l1",
    L1Loss,
    l1_loss,
    summary="absolute error; its minimum is the median",
    formula=r"|d|",
    value_range="[0, inf)",
    reference=Reference(
        "Laplace",
        "Memoire sur la probabilite des causes par les evenements",
        "1774",
        "principle of the least absolute deviation",
    ),
    differs={
        "torch": "nn.L1Loss: the same values; shapes that differ are broadcast with a warning "
        "there, and refused here",
    },
    examples=("l1()",),
)
