"""Recognises ordinary tensors in CPU memory, whose numbers the library can read directly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taylored.core.context import in_its_storage


def in_plain_memory(values: Tensor) -> bool:
    """Whether the numbers of a tensor are what lies at its address: on the CPU, and no subclass.

    Memory may have been freed, or cut, after the tensor was made; a tensor of zeros may have none.
    """
    kind = type(values)
    return (
        (kind is Tensor or kind is nn.Parameter)
        and values.is_cpu
        and values.layout is torch.strided
        and not values.is_neg()
        and values.data_ptr() != 0
        and in_its_storage(values)
    )
