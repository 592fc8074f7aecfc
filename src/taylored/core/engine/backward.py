"""Backward of a loss whose gradient is known: it only scales."""

from __future__ import annotations

import torch
from torch import Tensor


def scaled(gradient: Tensor, grad_loss: Tensor, dtype: torch.dtype) -> Tensor:
    """The saved gradient of the sum, times that of the loss or of each value."""
    if is_one(grad_loss) and gradient.dtype == dtype:
        # The saved buffer itself. Writing to it and using it again is an error of autograd.
        return gradient
    if 0 < grad_loss.dim() < gradient.dim():
        grad_loss = grad_loss.unsqueeze(1)
    if _last_use(grad_loss):
        return gradient.mul_(grad_loss).to(dtype)
    return (gradient * grad_loss).to(dtype)


def is_one(grad_loss: Tensor) -> bool:
    """Whether backward has nothing to scale, where looking costs no device sync."""
    if not _plain(grad_loss):
        return False
    return grad_loss.dim() == 0 and grad_loss.device.type == "cpu" and grad_loss.item() == 1.0


def _last_use(grad_loss: Tensor) -> bool:
    """Whether the graph, and all that it has saved, is dropped after this backward."""
    return _plain(grad_loss) and not torch._C._autograd._get_current_graph_task_keep_graph()


def _plain(grad_loss: Tensor) -> bool:
    """Whether it is a tensor with numbers in it, and one backward of them."""
    if torch.compiler.is_compiling() or type(grad_loss) is not Tensor:  # e.g. a fake tensor
        return False
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(grad_loss)
    return not (wrapped or torch._C._functorch.is_legacy_batchedtensor(grad_loss))
