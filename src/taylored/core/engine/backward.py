"""Backward of a loss whose gradient forward has found: it only scales that gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.context import compiling


def scaled_gradient(gradient: Tensor, grad_loss: Tensor, dtype: torch.dtype) -> Tensor:
    """The saved gradient of the sum, times the incoming gradient of the loss or of each value."""
    if is_one(grad_loss) and gradient.dtype == dtype:
        # The saved buffer itself. If the caller writes to it and runs backward again, autograd
        # reports an error.
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
    """Whether it is an ordinary tensor with numbers, in one backward at a time."""
    if compiling() or type(grad_loss) is not Tensor:  # e.g. a fake tensor
        return False
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(grad_loss)
    return not (wrapped or torch._C._functorch.is_legacy_batchedtensor(grad_loss))
