"""The logistic function and its relatives, with all digits near 0 and 1 wherever they run.

Torch's own keep them. ONNX has no log(1 + x) and no exp(x) - 1, its exporter writes the logarithm
of a sigmoid for logsigmoid, and runtimes compute a sigmoid with an absolute error. So a program
that is exported gets these functions as exponentials and logarithms of which no digit is lost.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.context import exporting


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + torch.exp(-x)) if exporting() else torch.sigmoid(x)


def log_sigmoid(x: Tensor) -> Tensor:
    """Logarithm of the sigmoid."""
    if exporting():
        return x.clamp_max(0.0) - log1p(torch.exp(-x.abs()))
    return F.logsigmoid(x)


def log1p(x: Tensor) -> Tensor:
    """log(1 + x)."""
    if not exporting():
        return torch.log1p(x)
    # The error of 1 + x is in both factors and cancels (Kahan).
    rounded = 1.0 + x
    as_it_is = (rounded == 1.0) | (x == torch.inf)
    return torch.where(
        as_it_is, x, torch.log(rounded) * x / torch.where(as_it_is, 1.0, rounded - 1)
    )


def expm1(x: Tensor) -> Tensor:
    """e^x - 1."""
    return torch.tanh(0.5 * x) * (torch.exp(x) + 1.0) if exporting() else torch.expm1(x)


def logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """log(e^a + e^b)."""
    if not exporting():
        return torch.logaddexp(a, b)
    larger = torch.maximum(a, b)
    apart = torch.where(a == b, 0.0, (a - b).abs())  # two infinities are no distance apart
    return larger + log1p(torch.exp(-apart))


def log_softplus(x: Tensor) -> Tensor:
    """log log(1 + e^x), which is x where e^x is too small for the dtype."""
    # log(1 + u) = u (1 - u/2 + ...). Both branches of `where` have to be finite.
    far, near = x.clamp_max(-20.0), x.clamp_min(-20.0)
    small = x - 0.5 * torch.exp(far)
    return torch.where(x < -20.0, small, torch.log(-log_sigmoid(-near)))


def log_one_minus_exp(log_rate: Tensor) -> Tensor:
    """log(1 - e^-y) from log y, which is log y where y is too small for the dtype."""
    far, near = log_rate.clamp_max(-20.0), log_rate.clamp(-20.0, 5.0)  # e^-148 is lost beside 1
    small = log_rate - 0.5 * torch.exp(far)
    return torch.where(log_rate < -20.0, small, torch.log(-expm1(-torch.exp(near))))
