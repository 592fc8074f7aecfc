"""The single pass with the gradient written over the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.backward import scaled
from taylored.core.engine.executors import choose
from taylored.core.inputs.donated_logits import GONE, Donated, Gone
from taylored.core.plan.plan import Plan


def overwrite(
    input: Donated, logits: Tensor, plan: Plan, *, collect: bool
) -> tuple[Tensor, Tensor | None, Tensor]:
    """The loss, its sums per class if asked for, and the gradient, which is where the logits were.

    `logits` is the donated tensor in canonical form.
    """
    if torch.compiler.is_compiling():
        # Here and not in the caller: a frame that fails is run as it is, and this is the frame.
        fail("input", "the logits themselves inside torch.compile, which reuses memory by itself",
             "donated logits", "leave `donate` out")  # fmt: skip
    _check(input, logits)
    donated = input.tensor
    buffer = logits.data  # has a version counter of its own, and so outlives the next lines
    # What was kept of these values for some other backward is to be an error there.
    torch.autograd.graph.increment_version(donated)
    with torch.autocast(donated.device.type, enabled=False):  # as where sums are collected
        loss, sums = _Overwriting.apply(logits, buffer, plan, collect)
    # Two locks: the class stops everything that goes through Python with a clean error; taking the
    # memory away as well stops the few things that do not.
    donated.__class__ = Gone
    torch._C._set_storage_access_error_msg(donated, GONE)
    return loss, sums, buffer


def _check(input: Donated, logits: Tensor) -> None:
    """Refuse logits that somebody else could still read; `logits` are the same in canonical form.

    What was looked at before and kept for a backward (`(logits**2).sum()`) is found there: as an
    error of autograd.
    """
    donated = input.tensor
    expected, fix = "donated logits that nothing else needs", "leave `donate` out"
    if type(donated) is not Tensor:
        fail("input", "donated logits of the plain tensor class", type(donated).__name__, fix)
    if donated.is_leaf:
        fail("input", expected, "a leaf, whose values are yours or the optimizer's", fix)
    if donated.dtype == torch.float16:
        fail("input", "donated logits in float32, float64 or bfloat16",
             "float16, whose gradient needs float32", fix)  # fmt: skip
    if donated._is_view():
        fail("input", expected, "a view of another tensor",
             "call .contiguous() or .clone() before `donate`, or leave it out")  # fmt: skip
    if logits.data_ptr() != donated.data_ptr():
        fail("input", "donated logits that are laid out along their axes",
             f"strides {donated.stride()}", fix)  # fmt: skip
    # One count is the tensor's, one that of the handle asked here, one the canonical view's.
    storage = donated.untyped_storage()
    if torch._C._storage_Use_Count(storage._cdata) > 2 + (logits is not donated):
        fail("input", expected,
             "logits whose memory is shared: a view or detached copy of them is alive, or the"
             " operation that made them (sigmoid, exp, softmax, relu) keeps them for its backward",
             "delete the other tensors, or leave `donate` out")  # fmt: skip


class _Overwriting(torch.autograd.Function):
    """(logits, a tensor on their memory, plan, collect) -> loss, and sums per class or None."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, buffer: Tensor, plan: Plan, collect: bool
    ) -> tuple[Tensor, Tensor | None]:
        found = choose(logits, plan).sweep(buffer, plan, collect=collect, into=buffer)
        ctx.save_for_backward(buffer)
        if found.sums is not None:
            ctx.mark_non_differentiable(found.sums)
        return found.loss, found.sums

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None, None
        if torch.is_grad_enabled():
            fail("input", "left undonated for second derivatives (create_graph)",
                 "donated logits, which are gone", "leave `donate` out")  # fmt: skip
        (gradient,) = ctx.saved_tensors
        return scaled(gradient, grad_loss, gradient.dtype), None, None, None
