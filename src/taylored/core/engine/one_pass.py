"""One pass: forward computes the loss and the gradient on the logits, backward only scales it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from taylored.core.checks import fail
from taylored.core.engine.backward import scaled
from taylored.core.engine.donated_pass import overwrite
from taylored.core.engine.executors import Whole, at_once, choose
from taylored.core.engine.gradient_tap import watched
from taylored.core.engine.linear_pass import linear_loss
from taylored.core.engine.shortcut import Direct
from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits, outline
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.plan.prepare import prepare, prepared
from taylored.core.state.gradient_indicator import GradientIndicator, GradientSums
from taylored.core.terms.term import Term

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
        return scaled(gradient, grad_loss, logits.dtype), None


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


class _OnePassDirect(torch.autograd.Function):
    """(input, what a shortcut found, term, options) -> loss: no plan before one is needed."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, found: Direct, term: Term, options: Options) -> Tensor:
        ctx.save_for_backward(input, found.target, found.gradient)
        ctx.rows, ctx.term, ctx.options = found.rows, term, options
        return found.loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        input, target, gradient = ctx.saved_tensors
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None, None
        if not torch.is_grad_enabled():
            return scaled(gradient, grad_loss, input.dtype), None, None, None
        logits, plan = prepared(input, target, ctx.rows, ctx.term, ctx.options)
        loss = in_shape_of(input, _COMPOSED.value(logits, plan), plan)
        (grad,) = torch.autograd.grad(loss, input, grad_loss, create_graph=True)
        return grad, None, None, None


def needs_composition(logits: Tensor, plan: Plan) -> bool:
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
    if needs_composition(logits, plan):
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
    if not needs_composition(logits, plan) and logits.requires_grad:
        loss, sums = _OnePassCollecting.apply(logits, plan)
        return loss, sums
    with torch.no_grad():
        found = choose(logits, plan).sweep(logits, plan, collect=True)
    assert found.sums is not None  # noqa: S101 - asked for
    return run(logits, plan), found.sums


def _run_handed(
    input: LinearLogits | Donated, logits: Tensor, plan: Plan, *, collect: bool
) -> tuple[Tensor, Tensor | None]:
    """The same, with sums if asked for, of an input in the place of logits.

    `logits` is its outline in canonical form.
    """
    watch = watched()
    if isinstance(input, LinearLogits):
        if plan.output == "each" and plan.link == "sigmoid":
            fail("reduction", '"sum", "mean" or "batch_mean" for sigmoid losses of LinearLogits',
                 '"none"', "it has as many values as the logits: pass input.logits()")  # fmt: skip
        formed = torch.compiler.is_compiling()
        if not formed and not any(needs_composition(each, plan) for each in input.tensors()):
            return linear_loss(input, plan, collect=collect, watch=watch)
        logits = input.logits().reshape(logits.shape)
    elif input.requires_grad and torch.is_grad_enabled():
        if needs_composition(input.tensor, plan):
            fail("input", "the logits themselves inside torch.func and forward mode, and where an"
                 " option wants a gradient", "donated logits", "leave `donate` out")  # fmt: skip
        loss, sums, gradient = overwrite(input, logits, plan, collect=collect)
        if watch is not None:
            watch.begin(gradient)
            watch.see(gradient)
        return loss, sums
    if watch is not None:
        with torch.no_grad():
            watch.begin(logits)
            watch.see(choose(logits, plan).sweep(logits, plan, collect=False).gradient)
    return run_collecting(logits, plan) if collect else (run(logits, plan), None)


def p_t_loss(input: Logits, target: Tensor, term: Term, options: Options) -> Tensor:
    """The loss of a term in the p_t family with every slot of the shared vocabulary.

    A forward that counts also adds its gradient sums to the indicator of the options.
    """
    if options.indicator is not None and options.indicator.collecting():
        return _counted(options.indicator, input, target, term, options)
    if isinstance(input, (LinearLogits, Donated)):
        logits, plan = prepare(outline(input), target, term, options)
        return in_shape_of(input, _run_handed(input, logits, plan, collect=False)[0], plan)
    found = at_once(input, target, term, options)
    if found is not None:
        if found.gradient is None:
            return found.loss
        loss: Tensor = _OnePassDirect.apply(input, found, term, options)
        return loss
    logits, plan = prepare(input, target, term, options)
    return in_shape_of(input, run(logits, plan), plan)


def _counted(
    indicator: GradientIndicator, input: Logits, target: Tensor, term: Term, options: Options
) -> Tensor:
    indicator.refuse_transforms()
    logits, plan = prepare(outline(input), target, term, options)
    if isinstance(input, (LinearLogits, Donated)):
        loss, found = _run_handed(input, logits, plan, collect=True)
        assert found is not None  # noqa: S101 - asked for
        sums = found
    else:
        loss, sums = run_collecting(logits, plan)
    sums = sums[:, : sums.shape[1] - options.uncounted]
    indicator.update(undivided(sums, plan.denominator))
    return in_shape_of(input, loss, plan)


def undivided(sums: Tensor, denominator: Tensor | float | None) -> GradientSums:
    """The sums as they were before the loss was divided by its denominator."""
    if denominator is None:
        return GradientSums(sums[0], sums[1], None)
    amount = torch.as_tensor(denominator, device=sums.device).to(sums).reshape(())
    whole = sums * torch.where(amount == 0, 1.0, amount)
    return GradientSums(whole[0], whole[1], amount)


def in_shape_of(input: Logits, loss: Tensor, plan: Plan) -> Tensor:
    """A loss of canonical logits, in the shape that the caller's input asks for."""
    if plan.output == "sum":
        return loss
    if plan.link == "sigmoid":
        return loss.reshape(input.shape)
    return loss.reshape(input.shape[:1] + input.shape[2:] if input.dim() > 1 else ())
