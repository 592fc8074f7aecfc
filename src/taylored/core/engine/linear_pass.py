"""One pass over features times weight: the gradients are found in forward, backward scales them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from taylored.core.engine.backward import scaled
from taylored.core.engine.executors import Whole
from taylored.core.engine.gradient_tap import Watch
from taylored.core.engine.linear_chunks import Head, Walked, Wanted, walk
from taylored.core.inputs.linear_logits import LinearLogits, formed
from taylored.core.plan.plan import Plan

_COMPOSED = Whole()

Gradients = tuple[Tensor | None, ...]


def linear_loss(
    input: LinearLogits, plan: Plan, *, collect: bool, watch: Watch | None
) -> tuple[Tensor, Tensor | None]:
    """The loss, and if asked for the (2, C) sums of its absolute gradient on the logits.

    The plan is that of the logits in canonical form, (N, C) or (N, C, S).
    """
    head = Head(input.features, input.weight, input.bias, input.dtype)
    wanted = Wanted(sums=collect, watch=watch)
    # Dtypes are settled by now: nothing is to be cast on the way.
    with torch.autocast(input.device.type, enabled=False):
        if torch.is_grad_enabled() and input.requires_grad:
            function = _Each if plan.output == "each" else _Sum
            loss, sums = function.apply(head.features, head.weight, head.bias, head, plan, wanted)
            return loss, sums
        with torch.no_grad():
            found = walk(head, plan, wanted)
        return found.loss, found.sums


class _Sum(torch.autograd.Function):
    """(features, weight, bias, all three, plan, wanted) -> the loss, and sums per class or None."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: Head,
        plan: Plan,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor | None]:
        return _keep(ctx, head, plan, walk(head, plan, _with_gradients(wanted, ctx)))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> Gradients:
        head, plan, gradients = _kept(ctx)
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return (None,) * 6
        if torch.is_grad_enabled():
            return _differentiable(ctx, head, plan, grad_loss)
        inputs = (head.features, head.weight, head.bias)
        found = (
            None if gradient is None or like is None else scaled(gradient, grad_loss, like.dtype)
            for gradient, like in zip(gradients, inputs, strict=True)
        )
        return (*found, None, None, None)


class _Each(torch.autograd.Function):
    """The same with a value per position: backward walks again, once their weights are known."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: Head,
        plan: Plan,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor | None]:
        return _keep(ctx, head, plan, walk(head, plan, wanted))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> Gradients:
        head, plan, _ = _kept(ctx)
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return (None,) * 6
        if torch.is_grad_enabled():
            return _differentiable(ctx, head, plan, grad_loss)
        weighted = plan.rows * grad_loss.unsqueeze(1).to(plan.rows.dtype)
        with torch.autocast(head.features.device.type, enabled=False):
            found = walk(
                head, replace(plan, rows=weighted, output="sum"), _with_gradients(Wanted(), ctx)
            )
        inputs = (head.features, head.weight, head.bias)
        gradients = (
            None if gradient is None or like is None else gradient.to(like.dtype)
            for gradient, like in zip(found.gradients, inputs, strict=True)
        )
        return (*gradients, None, None, None)


def _with_gradients(wanted: Wanted, ctx: Any) -> Wanted:
    features, weight, bias = ctx.needs_input_grad[:3]
    return replace(wanted, features=features, weight=weight, bias=bias)


def _keep(ctx: Any, head: Head, plan: Plan, found: Walked) -> tuple[Tensor, Tensor | None]:
    """Keep what backward needs: besides the inputs, the gradients and nothing else."""
    ctx.save_for_backward(head.features, head.weight, head.bias, plan.target, *found.gradients)
    ctx.dtype, ctx.plan = head.dtype, replace(plan, target=plan.target.new_empty(0))
    if found.sums is not None:
        ctx.mark_non_differentiable(found.sums)
    return found.loss, found.sums


def _kept(ctx: Any) -> tuple[Head, Plan, Sequence[Tensor | None]]:
    features, weight, bias, target, *gradients = ctx.saved_tensors
    return Head(features, weight, bias, ctx.dtype), replace(ctx.plan, target=target), gradients


def _differentiable(ctx: Any, head: Head, plan: Plan, grad_loss: Tensor) -> Gradients:
    """Gradients that can be differentiated again: those of the composed reference."""
    logits = formed(head.features, head.weight, head.bias, head.dtype)
    logits = logits.flatten(2) if logits.dim() > 3 else logits
    loss = _COMPOSED.value(logits, plan)
    needed = ctx.needs_input_grad[:3]
    inputs = (head.features, head.weight, head.bias)
    wanted = [each for each, need in zip(inputs, needed, strict=True) if need and each is not None]
    found = iter(torch.autograd.grad(loss, wanted, grad_loss, create_graph=True))
    return (*(next(found) if need else None for need in needed), None, None, None)
