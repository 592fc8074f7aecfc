"""What is sent between processes: watched at two places, so that nothing slips by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode


class Collectives(TorchDispatchMode):
    """Names of the collectives that reach the process group, whichever way they were called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace in ("c10d", "_c10d_functional"):
            self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


@contextmanager
def counted_all_reduce(calls: list[int]) -> Iterator[None]:
    """Count the calls of `torch.distributed.all_reduce` by the size of what is reduced."""
    original = dist.all_reduce

    def counting(tensor: torch.Tensor, *args: Any, **options: Any) -> Any:
        calls.append(tensor.numel())
        return original(tensor, *args, **options)

    dist.all_reduce = counting
    try:
        yield
    finally:
        dist.all_reduce = original
