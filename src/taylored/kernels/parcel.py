"""Parcels: how the gradient that an operator finds goes from forward to backward.

A *parcel* is an empty tensor whose storage holds the gradient. As an ordinary tensor it would have
to be copied to be scaled, which takes as long as the sweep, because the compiler takes what
backward is handed for its own and writes over it. A parcel is opened once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from taylored.core.engine.executor import gradient_dtype
from taylored.core.numerics import computing_dtype

_SEAL = 64
"""Bytes after the gradient in a parcel; the first says whether it was opened."""

OPERATORS = torch.library.Library("taylored", "FRAGMENT")
"""The operators of this package."""

EXACT = (torch.Tag.needs_exact_strides,)
"""What is true of each of them."""

# Two calls with the same arguments must stay two: each has a parcel of its own.
_TAGS = (torch.Tag.nondeterministic_seeded, *EXACT)


def parcel_for(logits: Tensor) -> tuple[Tensor, Tensor]:
    """An empty tensor, and the gradient that lies in its storage."""
    dtype = gradient_dtype(logits)
    bytes_ = logits.numel() * dtype.itemsize
    space = torch.empty(bytes_ + _SEAL, dtype=torch.uint8, device="cpu")
    space[bytes_:].zero_()
    strides = strides_of_gradient(logits)
    return _lying_in(space, dtype, (0,), (1,)), _lying_in(space, dtype, logits.shape, strides)


def strides_of_gradient(logits: Tensor) -> tuple[int, ...]:
    """Those of the logits where these lie densely, as the compiler is told by `empty_like`."""
    if logits.is_contiguous():
        return logits.stride()
    return torch.empty_like(logits, device="meta").stride()


def laid_out(logits: Tensor) -> Tensor:
    """The logits in the strides of their gradient, which the library reads."""
    strides = strides_of_gradient(logits)
    if logits.stride() == strides:
        return logits
    return logits.new_empty_strided(logits.shape, strides).copy_(logits)


def _lying_in(
    space: Tensor, dtype: torch.dtype, shape: Sequence[int], strides: Sequence[int]
) -> Tensor:
    return torch.empty(0, dtype=dtype, device="cpu").set_(
        space.untyped_storage(), 0, shape, strides
    )


def _opened(
    parcel: Tensor,
    grad_loss: Tensor,
    shape: Sequence[int],
    strides: Sequence[int],
    stored: torch.dtype,
    dtype: torch.dtype,
) -> Tensor:
    """The gradient in a parcel, times that of the loss; the memory is that of the parcel."""
    bytes_ = math.prod(shape) * stored.itemsize
    storage = parcel.untyped_storage()
    if storage.nbytes() < bytes_ + _SEAL:
        raise RuntimeError(
            "`loss.backward()` must get what forward saved, got a copy without its memory. Fix: "
            "leave the loss out of torch.autograd.graph.saved_tensors_hooks (save_on_cpu, ...)"
        )
    seal = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage, bytes_, (1,), (1,))
    if int(seal):
        raise RuntimeError(
            "`loss.backward()` must run once, got a second run of a graph that was let go. Fix: "
            "use loss.backward(retain_graph=True) the first time"
        )
    gradient = _lying_in(parcel, stored, shape, strides)
    if 0 < grad_loss.dim() < gradient.dim():
        grad_loss = grad_loss.unsqueeze(1)
    if torch._C._current_graph_task_id() == -1 or (
        torch._C._autograd._get_current_graph_task_keep_graph()
    ):
        return (gradient * grad_loss).to(dtype)
    seal.fill_(1)
    if grad_loss.dim() != 0 or grad_loss.item() != 1.0:
        gradient.mul_(grad_loss)
    return gradient.to(dtype)


def _fake_opened(parcel: Tensor, *given: Any) -> Tensor:
    _, shape, strides, _, dtype = given
    return parcel.new_empty_strided(shape, strides, dtype=dtype)


def fake_parcel(logits: Tensor) -> Tensor:
    """What a compiler knows of a parcel."""
    return logits.new_empty(0, dtype=gradient_dtype(logits))


def fake_loss(logits: Tensor, link: str, *, by_value: bool) -> Tensor:
    """Zeros in the shape and dtype of a loss: what a compiler knows, and the loss of no logits."""
    shape: Sequence[int] = ()
    if by_value:
        shape = (*logits.shape[:1], *logits.shape[2:]) if link == "softmax" else logits.shape
    return logits.new_zeros(shape, dtype=computing_dtype(logits))


def fake_sums(logits: Tensor) -> Tensor:
    """What a compiler knows of the (2, C) sums of the gradient per class."""
    return logits.new_zeros(2, logits.shape[1], dtype=torch.float64)


def define(name: str, arguments: str, results: str, fake: Callable[..., Any]) -> None:
    """An operator whose second result is the parcel of its first argument's gradient."""
    OPERATORS.define(f"{name}{arguments} -> {results}", tags=_TAGS)
    OPERATORS.impl(name, fake, "Meta")  # `register_fake` reads source files at import
    torch.library.register_autograd(
        f"taylored::{name}", _backward, setup_context=_remember, lib=OPERATORS
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    logits = inputs[0]
    ctx.save_for_backward(output[1])
    ctx.shape, ctx.strides = logits.shape, torch.empty_like(logits).stride()
    ctx.dtype, ctx.stored = logits.dtype, gradient_dtype(logits)
    ctx.inputs = len(inputs)
    ctx.mark_non_differentiable(*output[1:])


def _backward(ctx: Any, grad_loss: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    (parcel,) = ctx.saved_tensors
    others = (None,) * (ctx.inputs - 1)
    if grad_loss is None:
        return None, *others
    gradient: Tensor = torch.ops.taylored.opened(
        parcel, grad_loss, ctx.shape, ctx.strides, ctx.stored, ctx.dtype
    )
    return gradient, *others


OPERATORS.define(
    "opened(Tensor parcel, Tensor grad_loss, SymInt[] shape, SymInt[] strides, ScalarType stored, "
    "ScalarType dtype) -> Tensor",
    tags=_TAGS,
)
OPERATORS.impl("opened", _fake_opened, "Meta")
OPERATORS.impl("opened", _opened, "CPU")
