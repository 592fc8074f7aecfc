"""Log-cosh: smooth everywhere, squared near zero and absolute far away."""

from __future__ import annotations

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["LogCoshLoss", "log_cosh_loss"]


def log_cosh_values(input: Tensor, target: Tensor) -> Tensor:
    """log cosh d: as log(1 + 2 sinh^2(d / 2)) near zero, without overflow far away."""
    size = (input - target).abs()
    near = torch.log1p(2.0 * torch.sinh(0.5 * size.clamp_max(1.0)) ** 2)
    return torch.where(size < 1.0, near, size + F.softplus(-2.0 * size) - math.log(2.0))


class LogCoshLoss(ValueLoss):
    r"""Log-cosh, :math:`\log \cosh d`: :math:`d^2 / 2` near zero, :math:`|d| - \log 2` far away.

    Example:
        >>> import torch
        >>> LogCoshLoss()(torch.tensor([0.5, 3.0]), torch.tensor([0.0, 0.0]))
        tensor(1.2147)
    """

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per number."""
        return log_cosh_values(input, target)


@function_of(LogCoshLoss)
def log_cosh_loss(
    input: Tensor,
    target: Tensor,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Log-cosh, :math:`\log \cosh d`: :math:`d^2 / 2` near zero, :math:`|d| - \log 2` far away.

    Example:
        >>> import torch
        >>> log_cosh_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.1201, 2.3093])
    """
    check_alike(input=input, target=target)
    return value_loss(log_cosh_values, input, target, **shared)


SPEC = spec_of(
    "log_cosh",
    LogCoshLoss,
    log_cosh_loss,
    summary="log cosh of the error: squared near zero, absolute far away, smooth everywhere",
    formula=r"\log \cosh d",
    value_range="[0, inf)",
    reference=Reference(
        "Saleh, Saleh",
        "Statistical Properties of the log-cosh Loss Function Used in Machine Learning",
        "arXiv 2208.04564, 2022",
        "equation 1",
    ),
    differs={
        "torchmetrics": "LogCoshError: log((e^d + e^-d) / 2) overflows in float32 from |d| = 89 on",
    },
    examples=("log_cosh()",),
)
