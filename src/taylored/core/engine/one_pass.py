"""The way of a loss: from the caller's arguments to a plan, and by one sweep to the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from taylored.core.engine import donated_pass, linear_pass, tensor_pass
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.executor import Direct
from taylored.core.engine.executors import at_once
from taylored.core.engine.sharded.sharded_pass import loss_of_shards
from taylored.core.engine.whole import WHOLE
from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.sharded_logits import ShardedLogits, unwrapped
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.canonical import in_shape_of
from taylored.core.plan.denominator import undivided
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.plan.prepare import prepare, prepared
from taylored.core.terms.term import Term

Run = Callable[[Any, Tensor, Plan, ClassSums | None], Tensor]
"""(input, its outline in canonical form, plan, sums to fill or None) -> loss."""

_RUN: dict[type, Run] = {LinearLogits: linear_pass.run, Donated: donated_pass.run}
"""How the loss of each substitute for logits is found."""


def p_t_loss(input: Logits, target: Tensor, term: Term, options: Options) -> Tensor:
    """The loss of a term in the p_t family, with all options that the family shares.

    If the options have an indicator and it is collecting, the sums of the gradient per class are
    added to it.
    """
    if type(input) is not Tensor:
        input = unwrapped(input)
        if isinstance(input, ShardedLogits):
            return loss_of_shards(input, target, term, options)
    run = _RUN.get(type(input), _run_tensor)
    indicator = options.indicator
    if indicator is not None and indicator.collecting():
        indicator.refuse_side_effects()
        logits, plan = prepare(outline(input), target, term, options)
        sums = ClassSums(logits)
        loss = run(input, logits, plan, sums)
        counted = sums.total()[:, : logits.shape[1] - options.uncounted]
        indicator.update(undivided(counted, plan.denominator))
        return in_shape_of(input, loss, plan)
    found = at_once(input, target, term, options)
    if found is None:
        logits, plan = prepare(outline(input), target, term, options)
        return in_shape_of(input, run(input, logits, plan, None), plan)
    if found.gradient is None:
        return found.loss
    direct: Tensor = _OnePassDirect.apply(input, found, term, options)
    return direct


def _run_tensor(_input: Tensor, logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
    return tensor_pass.run(logits, plan, sums)


class _OnePassDirect(torch.autograd.Function):
    """(input, what a shortcut found, term, options) -> loss. A plan is made if it is needed."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, found: Direct, term: Term, options: Options) -> Tensor:
        keep(ctx, found.gradient, input, found.target)
        ctx.dtype, ctx.rows, ctx.term, ctx.options = input.dtype, found.rows, term, options
        return found.loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None, None
        if not torch.is_grad_enabled():
            return scaled_gradient(ctx, grad_loss, ctx.dtype), None, None, None
        _, input, target = ctx.saved_tensors
        logits, plan = prepared(input, target, ctx.rows, ctx.term, ctx.options)
        loss = in_shape_of(input, WHOLE.value(logits, plan), plan)
        (grad,) = torch.autograd.grad(loss, input, grad_loss, create_graph=True)
        return grad, None, None, None
