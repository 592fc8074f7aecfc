"""The record of numbers and addresses that a sweep is called with: `Sweep` in `cpp/sweep.h`."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from taylored.core.numerics import computing_dtype

SWEEP = struct.Struct("=9q2Q2qQ3qQ3q2q6Q2ddQqQqQqQ3qQQq")
"""The fields of `Sweep` in their order; each takes 8 bytes."""

FLOATS = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
TRUTHS = {**FLOATS, torch.bool: 4, torch.uint8: 4, torch.int64: 5, torch.int32: 6}
LINKS = {"softmax": 0, "sigmoid": 1}

_CPU = torch.device("cpu")
"""The object, because reading the word takes longer than a small loss can spare."""

Strides = tuple[int, int, int]
Layout = tuple[int, int, int, int, int, int]
"""n, c, s and the strides along them, in elements."""

_MOST_PADDING = 1.5
"""The most memory that a layout may take per entry. Gradients get the layout of their logits."""


def layout_of(logits: Tensor) -> Layout | None:
    """(N, C[, d1, ...]) as three axes; None where entries share memory, or most of it is unused."""
    shape, strides = logits.shape, logits.stride()
    if logits.is_contiguous():
        n, c = shape[0], shape[1]
        s = logits.numel() // (n * c)
        return n, c, s, c * s, s, 1
    s, z_s = 1, 1
    for size, stride in zip(reversed(shape[2:]), reversed(strides[2:]), strict=True):
        if size == 1:
            continue
        if s == 1:
            z_s = stride
        elif stride != z_s * s:
            return None
        s *= size
    extent = 1
    for stride, size in sorted(((strides[0], shape[0]), (strides[1], shape[1]), (z_s, s))):
        if size > 1:
            if stride < extent:
                return None
            extent += stride * (size - 1)
    if extent > _MOST_PADDING * logits.numel():
        return None
    return shape[0], shape[1], s, strides[0], strides[1], z_s


def position_strides(values: Tensor) -> Strides:
    """Strides of (N[, S]) along n, c and s."""
    strides = values.stride()
    return strides[0], 0, strides[1] if len(strides) > 1 else 0


def element_strides(values: Tensor) -> Strides:
    """Strides of (N, C[, S]) or (N, 1[, S]) along n, c and s."""
    strides = values.stride()
    along = strides[1] if values.shape[1] > 1 else 0
    return strides[0], along, strides[2] if len(strides) > 2 else 0


def spread_per_class(values: Tensor, logits: Tensor) -> Tensor:
    """One number for each class, contiguous, in the computing dtype and where the logits are."""
    values = values.detach().to(device=logits.device, dtype=computing_dtype(logits))
    return values.reshape(-1).expand(logits.shape[1]).contiguous()


def spread_or_none(values: Tensor | None, logits: Tensor) -> Tensor | None:
    """The same of what may be absent."""
    return None if values is None else spread_per_class(values, logits)


def address(values: Tensor | None) -> int:
    """Where a tensor begins; 0 for none."""
    return 0 if values is None else values.data_ptr()


def scalar(value: float, dtype: torch.dtype) -> Tensor:
    """A total as a tensor; one beyond the range of the dtype is infinite."""
    try:
        return torch.scalar_tensor(value, dtype=dtype, device=_CPU)
    except RuntimeError:
        return torch.scalar_tensor(math.copysign(math.inf, value), dtype=dtype, device=_CPU)


def numbers(values: Sequence[float]) -> tuple[int, int]:
    """How many numbers, and where; they are an array."""
    assert isinstance(values, array)  # noqa: S101 - only compilers get lists
    return len(values), values.buffer_info()[0]
