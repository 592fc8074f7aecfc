"""The single pass over logits in a tensor: forward finds the gradient, backward scales it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from taylored.core.context import being_transformed, compiling, exporting, has_tangent
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.executors import as_operators, choose
from taylored.core.engine.gradient_tap import active_tap
from taylored.core.engine.whole import WHOLE
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.plan import Plan


def needs_composition(logits: Tensor, plan: Plan) -> bool:
    """Whether anything except the first derivative on the logits could be asked for."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in plan.tensors()):
        return True
    if exporting() or being_transformed():
        return True
    return not compiling() and has_tangent(logits)


def run(logits: Tensor, plan: Plan, sums: ClassSums | None = None) -> Tensor:
    """The loss of canonical logits, by the cheapest way that gives every derivative needed."""
    if sums is not None:
        return _run_counting(logits, plan, sums)
    if needs_composition(logits, plan):
        return WHOLE.value(logits, plan)
    operators = as_operators(logits, plan)
    if operators is not None:
        return operators.loss(logits, plan)
    if torch.is_grad_enabled() and logits.requires_grad:
        loss: Tensor = _OnePass.apply(logits, plan)
        return loss
    return choose(logits, plan).value(logits, plan)


def run_reporting(logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
    """The same, after reporting the gradient to the active tap: for substitutes of logits."""
    tap = active_tap()
    if tap is not None:
        with torch.no_grad():
            tap.begin(logits)
            tap.add(choose(logits, plan).sweep(logits, plan).gradient)
    return run(logits, plan, sums)


def _run_counting(logits: Tensor, plan: Plan, sums: ClassSums) -> Tensor:
    """The loss; its absolute gradient per class, from the same sweep, is added to the sums."""
    if torch.is_autocast_enabled(logits.device.type):
        # The sums stay in the dtype that the executor chooses.
        with torch.autocast(logits.device.type, enabled=False):
            return _run_counting(logits, plan, sums)
    if not needs_composition(logits, plan):
        operators = as_operators(logits, plan)
        if operators is not None:
            loss, total = operators.counting_loss(logits, plan)
            sums.add(total)
            return loss
        if logits.requires_grad:
            counted: Tensor
            counted, total = _OnePassCounting.apply(logits, plan)
            sums.add(total)
            return counted
    with torch.no_grad():
        choose(logits, plan).sweep(logits, plan, sums=sums)
    return run(logits, plan)


class _OnePass(torch.autograd.Function):
    """(logits, plan) -> loss. Never sees functorch, so it needs no separate `setup_context`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, plan: Plan) -> Tensor:
        found = choose(logits, plan).sweep(logits, plan)
        keep(ctx, found.gradient, logits, *_given(plan))
        ctx.plan, ctx.dtype = plan, logits.dtype
        return found.loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None]:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None
        if torch.is_grad_enabled():  # double backward: differentiate the composed reference
            _, logits, target, *_ = ctx.saved_tensors
            loss = WHOLE.value(logits, replace(ctx.plan, target=target))
            (grad,) = torch.autograd.grad(loss, logits, grad_loss, create_graph=True)
            return grad, None
        return scaled_gradient(ctx, grad_loss, ctx.dtype), None


def _given(plan: Plan) -> list[Tensor]:
    """The target first, then whatever else of the plan the caller may write to."""
    return [each for each in plan.tensors() if each is not plan.rows]


class _OnePassCounting(torch.autograd.Function):
    """(logits, plan) -> loss, and the sums of its gradient per class, which are constants.

    The sums are an output, because a compiler does not let `forward` write to anything else.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        sums = ClassSums(logits)
        found = choose(logits, plan).sweep(logits, plan, sums=sums)
        total = sums.total()
        keep(ctx, found.gradient, logits, *_given(plan))
        ctx.mark_non_differentiable(total)
        ctx.plan, ctx.dtype = plan, logits.dtype
        return found.loss, total

    backward = staticmethod(_OnePass.backward)
