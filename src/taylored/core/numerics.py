"""Rules of arithmetic that hold in every room."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
"""Dtypes for storage, in which nothing is computed."""


def computing_dtype(values: Tensor) -> torch.dtype:
    """The dtype to compute in: float32 for half precision, else the tensor's own."""
    return torch.float32 if values.dtype in HALF else values.dtype


def widest_dtype(device: torch.device) -> torch.dtype:
    """float64 for sums and counts; float32 on devices that have nothing wider."""
    return torch.float32 if device.type == "mps" else torch.float64


def one_if_zero(amount: Tensor) -> Tensor:
    """A denominator that is safe to divide by: where nothing was counted the result stays 0."""
    return torch.where(amount == 0, 1.0, amount)


def harmless(values: Tensor, nothing: Tensor) -> Tensor:
    """The values, with 0 for those that are not finite where they count for nothing.

    A coefficient of 0 does not silence NaN or infinity: 0 times either is NaN, in the value and in
    every derivative. Finite values stay, so that derivatives in the coefficient stay right.
    """
    return torch.where(nothing, torch.nan_to_num(values, 0.0, 0.0, 0.0), values)


def without_offset(logits: Tensor, axis: int) -> Tensor:
    """The logits minus the largest along an axis, which a softmax does not see.

    Whatever is added to raw logits is rounded to their digits: at 1e8, float32 has steps of 8. The
    differences are exact. The largest is a constant for autograd, which changes no derivative.
    """
    if logits.shape[axis] == 0:
        return logits
    return logits - logits.detach().amax(dim=axis, keepdim=True)


def smoothing_parts(smoothing: float, outcomes: int) -> tuple[float, float]:
    """What label smoothing leaves to the truth, and what it gives to each of the outcomes."""
    return 1.0 - smoothing, smoothing / outcomes


def smoothed(truth: Tensor, smoothing: float, outcomes: int) -> Tensor:
    """The probability of each outcome after `smoothing` of the mass is spread over all alike."""
    if smoothing == 0.0:
        return truth
    kept, even = smoothing_parts(smoothing, outcomes)
    return truth * kept + even
