"""The single pass with the gradient written over the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.context import compiling
from taylored.core.engine import tensor_pass
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.executors import choose
from taylored.core.engine.gradient_tap import active_tap
from taylored.core.inputs.donated_logits import GONE, Donated, Gone
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.plan import Plan


def run(input: Donated, logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
    """The loss of donated logits; `logits` is the donated tensor in canonical form."""
    if not (input.requires_grad and torch.is_grad_enabled()):
        return tensor_pass.run_reporting(logits, plan, sums)
    if tensor_pass.needs_composition(input.tensor, plan):
        fail("input", "the logits themselves inside torch.func and forward mode, and where an"
             " option wants a gradient", "donated logits", "leave `donate` out")  # fmt: skip
    loss, gradient = overwrite(input, logits, plan, sums)
    tap = active_tap()
    if tap is not None:
        tap.begin(gradient)
        tap.add(gradient)
    return loss


def overwrite(
    input: Donated, logits: Tensor, plan: Plan, sums: ClassSums | None
) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient on the memory of the logits, which are lost."""
    if compiling():
        # The check stands here because dynamo runs the frame that fails without compiling it.
        fail("input", "the logits themselves inside torch.compile, which reuses memory by itself",
             "donated logits", "leave `donate` out")  # fmt: skip
    _check(input, logits)
    donated = input.tensor
    buffer = logits.data  # it has its own version counter, and so survives the next line
    # If an operation has saved these values for its backward, that backward is to be an error.
    torch.autograd.graph.increment_version(donated)
    with torch.autocast(donated.device.type, enabled=False):  # as where sums are collected
        loss = _Overwriting.apply(logits, buffer, plan, sums)
    # The class stops everything that goes through Python, with a clear error. Taking the memory
    # away as well stops the few operations that do not.
    donated.__class__ = Gone
    torch._C._set_storage_access_error_msg(donated, GONE)
    return loss, buffer


def _check(input: Donated, logits: Tensor) -> None:
    """Refuse logits that something else could still read.

    An operation on them that has saved their values, such as `(logits**2).sum()`, is not found
    here: its backward fails, with autograd's error.
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
    # The tensor counts as one user, the handle asked for here as another, a canonical view as one.
    storage = donated.untyped_storage()
    if torch._C._storage_Use_Count(storage._cdata) > 2 + (logits is not donated):
        fail("input", expected,
             "logits whose memory is shared: a view or detached copy of them is alive, or the"
             " operation that made them (sigmoid, exp, softmax, relu) keeps them for its backward",
             "delete the other tensors, or leave `donate` out")  # fmt: skip


class _Overwriting(torch.autograd.Function):
    """(logits, a tensor on their memory, plan, sums to fill or None) -> loss."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, buffer: Tensor, plan: Plan, sums: ClassSums | None
    ) -> Tensor:
        found = choose(logits, plan).sweep(buffer, plan, sums=sums, into=buffer)
        keep(ctx, buffer)
        ctx.dtype = buffer.dtype
        return found.loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None, None
        if torch.is_grad_enabled():
            fail("input", "left undonated for second derivatives (create_graph)",
                 "donated logits, which are gone", "leave `donate` out")  # fmt: skip
        return scaled_gradient(ctx, grad_loss, ctx.dtype), None, None, None
