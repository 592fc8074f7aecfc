"""Backward of a loss whose gradient forward has found: it only scales that gradient.

A gradient belongs to whoever gets it: to the caller, a hook, `.grad`. The buffer that forward has
left behind is handed out itself only where nothing else can read it again, which is the case in a
backward that drops the graph. Every other backward hands out a tensor of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from taylored.core.context import compiling

_hooks_on_saved = torch._C._autograd._top_saved_tensors_default_hooks

_UNPACKS_ONE = hasattr(torch._C._autograd.SavedTensor, "unpack")
"""Whether torch can look at one saved tensor without checking all. Older versions raise an error
in backward where the logits were written to after forward."""


def keep(ctx: Any, *saved: Tensor | None) -> None:
    """Save for backward: gradients first, then all that second derivatives depend on."""
    ctx.save_for_backward(*saved)
    # What hooks on saved tensors give back may be kept, or shown again, by whoever wrote them.
    ctx.hooked = not compiling() and _hooks_on_saved(True) is not None


def scaled_gradient(
    ctx: Any, grad_loss: Tensor, dtype: torch.dtype, *, number: int = 0
) -> Tensor | None:
    """A saved gradient of the sum, times the incoming gradient of the loss or of each value.

    None if that gradient was not found because nobody wanted it. The logits are not looked at: as
    with torch's cross-entropy, the caller may have written to them after forward.
    """
    gradient = _saved(ctx, number, grad_loss)
    if gradient is None:
        return None
    last = _last_use(ctx, grad_loss)
    if last and gradient.dtype == dtype and _is_one(grad_loss):
        return gradient
    if 0 < grad_loss.dim() < gradient.dim():
        grad_loss = grad_loss.unsqueeze(1)
    return (gradient.mul_(grad_loss) if last else gradient * grad_loss).to(dtype)


def _saved(ctx: Any, number: int, grad_loss: Tensor) -> Tensor | None:
    """One saved tensor, without the check whether the others have been written to."""
    # Fake gradients: a compiler stands between, and knows the saved tensors by another way.
    if not _UNPACKS_ONE or compiling() or type(grad_loss) is not Tensor:
        saved: Tensor | None = ctx.saved_tensors[number]
        return saved
    one: Tensor | None = ctx._raw_saved_tensors[number].unpack()
    return one


def _is_one(grad_loss: Tensor) -> bool:
    """Whether backward has nothing to scale, where looking costs no device sync."""
    return grad_loss.dim() == 0 and grad_loss.is_cpu and grad_loss.item() == 1.0


def _last_use(ctx: Any, grad_loss: Tensor) -> bool:
    """Whether the saved gradient is dropped after this backward, and nobody else has it."""
    if ctx.hooked or not _plain(grad_loss):
        return False
    return not torch._C._autograd._get_current_graph_task_keep_graph()


def _plain(grad_loss: Tensor) -> bool:
    """Whether it is an ordinary tensor with numbers, in one backward at a time."""
    if compiling() or type(grad_loss) is not Tensor:  # e.g. a fake tensor
        return False
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(grad_loss)
    return not (wrapped or torch._C._functorch.is_legacy_batchedtensor(grad_loss))
