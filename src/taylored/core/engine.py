"""One pass: forward computes the loss and the gradient on the logits, backward only scales it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from taylored.core.executors import Whole, choose
from taylored.core.indicator import GradientIndicator, GradientSums
from taylored.core.plan import Plan
from taylored.core.prepare import Options, prepare
from taylored.core.term import Term

_COMPOSED = Whole()


class _OnePass(torch.autograd.Function):
    """(logits, plan) -> loss. Never sees functorch, so it needs no separate `setup_context`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, plan: Plan) -> Tensor:
        found = choose(logits, plan).sweep(logits, plan, collect=False)
        ctx.save_for_backward(logits, plan.target, found.gradient)
        ctx.plan = plan
        return found.loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None]:
        logits, target, gradient = ctx.saved_tensors
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None
        if torch.is_grad_enabled():  # double backward: differentiate the composed reference
            loss = _COMPOSED.value(logits, replace(ctx.plan, target=target))
            (grad,) = torch.autograd.grad(loss, logits, grad_loss, create_graph=True)
            return grad, None
        if _is_one(grad_loss) and gradient.dtype == logits.dtype:
            # The saved buffer itself. Writing to it and using it again is an error of autograd.
            return gradient, None
        if grad_loss.dim() < gradient.dim() and grad_loss.dim() > 0:
            grad_loss = grad_loss.unsqueeze(1)
        return (gradient * grad_loss).to(logits.dtype), None


class _OnePassCollecting(torch.autograd.Function):
    """(logits, plan) -> loss and the sums of its gradient per class, which are constants."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        found = choose(logits, plan).sweep(logits, plan, collect=True)
        assert found.sums is not None  # noqa: S101 - asked for
        ctx.save_for_backward(logits, plan.target, found.gradient)
        ctx.mark_non_differentiable(found.sums)
        ctx.plan = plan
        return found.loss, found.sums

    backward = staticmethod(_OnePass.backward)


def _is_one(grad_loss: Tensor) -> bool:
    """Whether backward has nothing to scale, where looking costs no device sync."""
    if torch.compiler.is_compiling() or type(grad_loss) is not Tensor:  # e.g. a fake tensor
        return False
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(grad_loss)
    if wrapped or torch._C._functorch.is_legacy_batchedtensor(grad_loss):  # batched backward
        return False
    return grad_loss.dim() == 0 and grad_loss.device.type == "cpu" and grad_loss.item() == 1.0


def _needs_composition(logits: Tensor, plan: Plan) -> bool:
    """Whether something other than the logits' first derivative could be asked for."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in plan.tensors()):
        return True
    if torch.compiler.is_exporting():  # an exported program keeps no backward of ours
        return True
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return True
    return forward_ad.unpack_dual(logits).tangent is not None


def run(logits: Tensor, plan: Plan) -> Tensor:
    """The loss of canonical logits, by the cheapest way that gives every derivative needed."""
    if _needs_composition(logits, plan):
        return _COMPOSED.value(logits, plan)
    if torch.is_grad_enabled() and logits.requires_grad:
        loss: Tensor = _OnePass.apply(logits, plan)
        return loss
    return choose(logits, plan).value(logits, plan)


def run_collecting(logits: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """The loss, and the (2, C) sums of its absolute gradient per class, from the same sweep."""
    if torch.is_autocast_enabled(logits.device.type):
        # The sums stay in the dtype that is chosen here.
        with torch.autocast(logits.device.type, enabled=False):
            return run_collecting(logits, plan)
    if not _needs_composition(logits, plan) and logits.requires_grad:
        loss, sums = _OnePassCollecting.apply(logits, plan)
        return loss, sums
    with torch.no_grad():
        found = choose(logits, plan).sweep(logits, plan, collect=True)
    assert found.sums is not None  # noqa: S101 - asked for
    return run(logits, plan), found.sums


def p_t_loss(input: Tensor, target: Tensor, term: Term, options: Options) -> Tensor:
    """The loss of a term in the p_t family with every slot of the shared vocabulary."""
    logits, plan = prepare(input, target, term, options)
    return in_shape_of(input, run(logits, plan), plan)


def counted_loss(
    indicator: GradientIndicator,
    input: Tensor,
    target: Tensor,
    term: Term,
    options: Options,
    *,
    uncounted: int = 0,
) -> Tensor:
    """The loss of a term; a forward that counts also adds its gradient sums to the indicator.

    The last `uncounted` columns belong to no class (a background column).
    """
    if not indicator.collecting():
        return p_t_loss(input, target, term, options)
    indicator.refuse_transforms()
    logits, plan = prepare(input, target, term, options)
    loss, sums = run_collecting(logits, plan)
    sums = sums[:, : sums.shape[1] - uncounted]
    indicator.update(undivided(sums, plan.denominator))
    return in_shape_of(input, loss, plan)


def undivided(sums: Tensor, denominator: Tensor | float | None) -> GradientSums:
    """The sums as they were before the loss was divided by its denominator."""
    if denominator is None:
        return GradientSums(sums[0], sums[1], None)
    amount = torch.as_tensor(denominator, device=sums.device).to(sums).reshape(())
    whole = sums * torch.where(amount == 0, 1.0, amount)
    return GradientSums(whole[0], whole[1], amount)


def in_shape_of(input: Tensor, loss: Tensor, plan: Plan) -> Tensor:
    """A loss of canonical logits, in the shape that the caller's input asks for."""
    if plan.output == "sum":
        return loss
    if plan.link == "sigmoid":
        return loss.reshape(input.shape)
    return loss.reshape(input.shape[:1] + input.shape[2:] if input.dim() > 1 else ())
