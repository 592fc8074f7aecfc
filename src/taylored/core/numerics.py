"""Rules of arithmetic that hold in every room."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)
"""Dtypes for storage, in which nothing is computed."""


def state_dtype() -> torch.dtype:
    """The dtype of sums that training adds to: the default, but never half precision."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def tensor_of(values: Any, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor where it is; numbers on the CPU, whatever the default device and dtype are.

    Python's floats keep all their digits, alone and in lists.
    """
    if isinstance(values, Tensor):
        return values if dtype is None else values.to(dtype)
    listed = values if isinstance(values, (list, tuple)) else (values,)
    if dtype is None and float in set(map(type, listed)):
        dtype = torch.float64
    return torch.as_tensor(values, dtype=dtype, device="cpu")


def computing_dtype(values: Tensor) -> torch.dtype:
    """The dtype to compute in: float32 for half precision, else the tensor's own."""
    return torch.float32 if values.dtype in HALF else values.dtype


def widest_dtype(device: torch.device) -> torch.dtype:
    """float64, for what is added up; float32 on devices that have nothing wider."""
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


def softcapped(logits: Tensor, cap: float) -> Tensor:
    """c tanh(z / c): logits that stay below c in size. NaN stays, and has a derivative of 1.

    That of tanh would be NaN, which a gradient of 0 does not silence.
    """
    unknown = logits.isnan()
    capped = cap * torch.tanh(torch.where(unknown, 0.0, logits) / cap)
    return torch.where(unknown, logits, capped)


def without_offset(logits: Tensor, axis: int) -> Tensor:
    """The logits minus the largest along an axis, which a softmax does not see.

    Whatever is added to raw logits is rounded to their digits: at 1e8, float32 has steps of 8. The
    differences are exact. The largest is a constant for autograd, which changes no derivative.
    """
    if logits.shape[axis] == 0:
        return logits
    return logits - logits.detach().amax(dim=axis, keepdim=True)


def scaled_without_offset(logits: Tensor, scale: Tensor, axis: int) -> Tensor:
    """The logits times one factor per class, but for a number that all classes have in common.

    Factors that are alike keep all digits of the differences, as `without_offset` does.
    """
    top = logits.detach().amax(dim=axis, keepdim=True)
    return (logits - top) * scale + (scale - scale.detach().amax()) * top


def smoothing_parts(smoothing: float, outcomes: int) -> tuple[float, float]:
    """What label smoothing leaves to the truth, and what it gives to each of the outcomes."""
    return 1.0 - smoothing, smoothing / outcomes


def smoothed(truth: Tensor, smoothing: float, outcomes: int) -> Tensor:
    """The probability of each outcome after `smoothing` of the mass is spread over all alike."""
    if smoothing == 0.0:
        return truth
    kept, even = smoothing_parts(smoothing, outcomes)
    return truth * kept + even


class SignedLog(NamedTuple):
    """A number as the logarithm of its size and its sign, which neither over- nor underflows."""

    log: Tensor
    sign: Tensor

    @classmethod
    def of(cls, values: Tensor) -> SignedLog:
        """A number that the dtype can hold; the logarithm of 0 has no derivative, and gives 0."""
        none = values == 0
        log = torch.log(torch.where(none, 1.0, values.abs()))
        return cls(torch.where(none, -math.inf, log), torch.sign(values))

    @classmethod
    def positive(cls, log: Tensor) -> SignedLog:
        """The exponential of a logarithm."""
        return cls(log, torch.ones_like(log))

    def times(self, other: SignedLog) -> SignedLog:
        """The product."""
        return SignedLog(self.log + other.log, self.sign * other.sign)

    def scaled(self, factor: float) -> SignedLog:
        """The product with a number."""
        size = math.log(abs(factor)) if factor else -math.inf
        return SignedLog(self.log + size, self.sign * math.copysign(float(factor != 0), factor))

    def plus(self, other: SignedLog) -> SignedLog:
        """The sum, relative to the larger of the two."""
        top = torch.maximum(self.log, other.log).detach()
        top = torch.where(top.isfinite(), top, 0.0)  # two zeros have no finite logarithm
        mine, others = torch.exp(self.log - top), torch.exp(other.log - top)
        total = SignedLog.of(self.sign * mine + other.sign * others)
        return SignedLog(top + total.log, total.sign)
