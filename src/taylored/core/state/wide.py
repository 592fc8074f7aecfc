"""Buffers that stay wide: in half precision, where `.half()` puts them, sums stall or overflow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def keep_wide(module: nn.Module, before: Mapping[str, Tensor | None]) -> None:
    """After a module was moved: give buffers that became half precision their old numbers back."""
    for name, kept in before.items():
        moved = module._buffers.get(name)
        if kept is None or moved is None:
            continue
        if moved.dtype in (torch.float16, torch.bfloat16):
            module._buffers[name] = kept.to(moved.device)
