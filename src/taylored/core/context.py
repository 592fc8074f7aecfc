"""What else is at work around a call: a compiler, a transform of torch.func, a mode.

Eager code may look at values, write to buffers and keep results; none of that is possible where
operations are only being recorded. Whatever depends on this asks here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

compiling = torch.compiler.is_compiling
"""Whether torch.compile or torch.export is recording this call."""

exporting = torch.compiler.is_exporting
"""Whether torch.export is recording this call; an exported program keeps no backward of ours."""


def transformed() -> bool:
    """Whether a transform of torch.func, such as vmap or grad, is applied to this eager call."""
    return not compiling() and torch._C._are_functorch_transforms_active()


def being_transformed() -> bool:
    """The same, also where a compiler records the transform."""
    return torch._C._are_functorch_transforms_active()


def eager() -> bool:
    """Whether neither a compiler nor a transform of torch.func is at work."""
    return not (compiling() or torch._C._are_functorch_transforms_active())


def values_are_known() -> bool:
    """Whether Python may look at the numbers of tensors: under a dispatch mode they may be fake."""
    return eager() and torch._C._len_torch_dispatch_stack() == 0


def has_numbers(values: Tensor) -> bool:
    """Whether Python may look at the numbers of this tensor: those of fake ones are not there."""
    real = type(values).__torch_dispatch__ is Tensor.__torch_dispatch__
    return real and not values.is_meta


def in_its_storage(values: Tensor) -> bool:
    """Whether a strided tensor lies inside of its storage, which may have been freed or cut."""
    begin = values.storage_offset() * values.itemsize
    if values.is_contiguous():  # told in few calls, because every call of a loss asks
        length = values.nbytes
        return bool(length == 0 or begin + length <= values.untyped_storage().nbytes())
    count = 1
    for size, step in zip(values.shape, values.stride(), strict=True):
        count += (size - 1) * step
    return bool(begin + count * values.itemsize <= values.untyped_storage().nbytes())


def unobserved() -> bool:
    """Whether nothing needs to see the operations: no compiler, transform, mode or forward mode."""
    return (
        not (compiling() or torch._C._are_functorch_transforms_active())
        and torch._C._len_torch_dispatch_stack() == 0
        and forward_ad._current_level < 0
        and torch._C._get_tracing_state() is None
    )


def has_tangent(values: Tensor) -> bool:
    """Whether forward-mode differentiation passes through a tensor."""
    return forward_ad.unpack_dual(values).tangent is not None
