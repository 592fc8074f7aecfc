"""Telling plain tensors in plain memory from everything else that goes by the name of tensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

_PLAIN = (Tensor, nn.Parameter)


def unwatched() -> bool:
    """Whether nothing needs to see the operations: no tracer, transform, mode or forward mode."""
    return (
        not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and torch._C._len_torch_dispatch_stack() == 0  # fake tensors, operation counters
        and forward_ad._current_level < 0
        and torch._C._get_tracing_state() is None
    )


def in_plain_memory(values: Tensor) -> bool:
    """Whether what lies at a tensor's address is its numbers: on the CPU, and no subclass."""
    return (
        type(values) in _PLAIN
        and values.is_cpu
        and values.layout is torch.strided
        and not values.is_neg()
    )
