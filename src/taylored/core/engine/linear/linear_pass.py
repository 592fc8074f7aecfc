"""The single pass over features and weight: forward finds their gradients, backward scales them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.context import compiling
from taylored.core.engine import tensor_pass
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.gradient_tap import active_tap
from taylored.core.engine.linear.evaluator import OF_TERM, Evaluator
from taylored.core.engine.linear.head import Head, Walked, Wanted
from taylored.core.engine.linear.walk import walk
from taylored.core.inputs.linear_logits import LinearLogits, formed
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.canonical import canonical
from taylored.core.plan.plan import Plan
from taylored.core.plan.some_classes import check_drawable, drawn, plan_of_drawn

Gradients = tuple[Tensor | None, ...]


def run(
    input: LinearLogits,
    logits: Tensor,
    plan: Plan,
    sums: ClassSums | None,
    evaluator: Evaluator = OF_TERM,
) -> Tensor:
    """The loss of features and weight; `logits` is their outline in canonical form."""
    if plan.output == "each" and plan.link == "sigmoid":
        fail("reduction", '"sum", "mean" or "batch_mean" for sigmoid losses of LinearLogits',
             '"none"', "it has as many values as the logits: pass input.logits()")  # fmt: skip
    if input.sample is not None:
        return _run_sampled(input, plan, sums)
    if _needs_all(input, plan) or evaluator.reaches_further(logits, plan):
        x = counted(input.features, plan)
        composed = formed(x, input.weight, input.bias, input.dtype, input.softcap)
        return evaluator.loss(composed.reshape(logits.shape), plan, sums)
    head = Head(input.features, input.weight, input.bias, input.dtype, input.softcap, input.memory)
    wanted = Wanted(sums=sums, tap=active_tap())
    # The dtypes are settled: autocast must not convert anything on the way.
    with torch.autocast(input.device.type, enabled=False):
        if torch.is_grad_enabled() and input.requires_grad:
            function = _Each if plan.output == "each" else _Sum
            loss: Tensor = function.apply(
                head.features, head.weight, head.bias, head, plan, wanted, evaluator
            )
            return loss
        with torch.no_grad():
            return walk(head, plan, wanted, evaluator).loss


def _needs_all(input: LinearLogits, plan: Plan) -> bool:
    """Whether anything except the first derivatives on the head could be asked for."""
    compose = tensor_pass.needs_composition
    return compiling() or any(compose(each, plan) for each in input.tensors())


def _run_sampled(input: LinearLogits, plan: Plan, sums: ClassSums | None) -> Tensor:
    """The loss of the true classes and of some others, drawn anew."""
    check_drawable(plan)
    if active_tap() is not None:
        fail("sample", "left out where a GradientRatio watches", f"{input.sample:g}",
             "use sample=None")  # fmt: skip
    assert input.sample is not None  # noqa: S101 - asked before
    some = drawn(plan, len(input.weight), input.sample, input.generator)
    bias = None if input.bias is None else input.bias.index_select(0, some.classes)
    weight = input.weight.index_select(0, some.classes)
    part = replace(input, weight=weight, bias=bias, sample=None, generator=None)
    logits = canonical(part.outline())
    found = None if sums is None else ClassSums(logits)
    loss = run(part, logits, plan_of_drawn(plan, some), found)
    if sums is not None and found is not None:
        total = found.total()
        sums.add(total.new_zeros(2, len(input.weight)).index_copy_(1, some.classes, total))
    return loss


def counted(features: Tensor, plan: Plan) -> Tensor:
    """The features, with zeros at positions that count for nothing.

    The gradient of the weight multiplies what stands there by a gradient of 0, and 0 NaN is NaN.
    """
    rows = plan.rows
    if rows.numel() == 1:
        return features
    counts = (rows != 0).any(dim=1).reshape(*features.shape[:-1], 1)
    return torch.where(counts, features, 0.0)


class _Sum(torch.autograd.Function):
    """(features, weight, bias, all three, plan, wanted, evaluator) -> loss."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: Head,
        plan: Plan,
        wanted: Wanted,
        evaluator: Evaluator,
    ) -> Tensor:
        ctx.evaluator = evaluator
        return _keep(ctx, head, plan, walk(head, plan, _with_gradients(wanted, ctx), evaluator))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> Gradients:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return (None,) * 7
        if torch.is_grad_enabled():
            return _differentiable(ctx, *_kept(ctx), grad_loss)
        found = (
            scaled_gradient(ctx, grad_loss, dtype, number=number)
            for number, dtype in enumerate(ctx.dtypes)
        )
        return (*found, None, None, None, None)


class _Each(torch.autograd.Function):
    """The same with a value per position: backward walks again, with the gradient of each value."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: Head,
        plan: Plan,
        wanted: Wanted,
        evaluator: Evaluator,
    ) -> Tensor:
        ctx.evaluator = evaluator
        return _keep(ctx, head, plan, walk(head, plan, wanted, evaluator))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> Gradients:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return (None,) * 7
        head, plan = _kept(ctx)
        if torch.is_grad_enabled():
            return _differentiable(ctx, head, plan, grad_loss)
        weighted = plan.rows * grad_loss.unsqueeze(1).to(plan.rows.dtype)
        with torch.autocast(head.features.device.type, enabled=False):
            plan = replace(plan, rows=weighted, output="sum")
            found = walk(head, plan, _with_gradients(Wanted(), ctx), ctx.evaluator)
        inputs = (head.features, head.weight, head.bias)
        gradients = (
            None if gradient is None or like is None else gradient.to(like.dtype)
            for gradient, like in zip(found.gradients, inputs, strict=True)
        )
        return (*gradients, None, None, None, None)


def _with_gradients(wanted: Wanted, ctx: Any) -> Wanted:
    features, weight, bias = ctx.needs_input_grad[:3]
    return replace(wanted, features=features, weight=weight, bias=bias)


def _keep(ctx: Any, head: Head, plan: Plan, found: Walked) -> Tensor:
    """Save for backward the inputs and the gradients, nothing else; return the loss."""
    inputs = (head.features, head.weight, head.bias)
    keep(ctx, *found.gradients, *inputs, plan.target)
    ctx.dtypes = [head.dtype if each is None else each.dtype for each in inputs]
    ctx.dtype, ctx.softcap, ctx.memory = head.dtype, head.softcap, head.memory
    ctx.plan = replace(plan, target=plan.target.new_empty(0))
    return found.loss


def _kept(ctx: Any) -> tuple[Head, Plan]:
    features, weight, bias, target = ctx.saved_tensors[3:]
    head = Head(features, weight, bias, ctx.dtype, ctx.softcap, ctx.memory)
    return head, replace(ctx.plan, target=target)


def _differentiable(ctx: Any, head: Head, plan: Plan, grad_loss: Tensor) -> Gradients:
    """Gradients that can be differentiated again: those of the composed reference."""
    x = counted(head.features, plan)
    logits = formed(x, head.weight, head.bias, head.dtype, head.softcap)
    loss = ctx.evaluator.composed(canonical(logits), plan)
    needed = ctx.needs_input_grad[:3]
    inputs = (head.features, head.weight, head.bias)
    wanted = [each for each, need in zip(inputs, needed, strict=True) if need and each is not None]
    found = iter(torch.autograd.grad(loss, wanted, grad_loss, create_graph=True))
    return (*(next(found) if need else None for need in needed), None, None, None, None)
