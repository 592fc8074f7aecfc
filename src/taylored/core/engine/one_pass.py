"""The way of a loss: from the caller's arguments to a plan, and by one sweep to the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from taylored.core.engine import donated_pass, tensor_pass
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.executor import Direct
from taylored.core.engine.executors import at_once
from taylored.core.engine.linear import linear_pass
from taylored.core.engine.sharded.sharded_pass import loss_of_shards
from taylored.core.engine.whole import WHOLE
from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.sharded_logits import ShardedLogits, unwrapped
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.canonical import in_shape_of
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Plan
from taylored.core.plan.prepare import prepare, prepared
from taylored.core.state.gradient_indicator import GradientIndicator
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
    indicator = options.indicator
    counting = indicator if indicator is not None and indicator.collecting() else None
    if counting is not None:
        counting.refuse_side_effects()
    found = at_once(input, target, term, options)
    if found is None:
        return _planned(input, target, term, options, counting)
    loss = found.loss
    if found.gradient is not None:
        loss = _OnePassDirect.apply(input, found, term, options)
    if counting is not None and found.sums is not None:
        counting.count(_of_counted(found.sums, options), found.denominator)
    return loss


def _planned(
    input: Logits, target: Tensor, term: Term, options: Options, counting: GradientIndicator | None
) -> Tensor:
    run = _RUN.get(type(input), _run_tensor)
    logits, plan = prepare(outline(input), target, term, options)
    sums = None if counting is None else ClassSums(logits)
    loss = run(input, logits, plan, sums)
    if counting is not None and sums is not None:
        counting.count(_of_counted(sums.total(), options), plan.denominator)
    return in_shape_of(input, loss, plan)


def _of_counted(sums: Tensor, options: Options) -> Tensor:
    """The sums of the classes that are counted."""
    return sums[:, : sums.shape[1] - options.uncounted] if options.uncounted else sums


def _run_tensor(_input: Tensor, logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
    return tensor_pass.run(logits, plan, sums)


_PER_CLASS = ("weight", "alpha", "pos_weight", "neg_weight", "logit_scale", "logit_bias")
"""The options that may be tensors which a shortcut takes."""


class _OnePassDirect(torch.autograd.Function):
    """(input, what a shortcut found, term, options) -> loss. A plan is made if it is needed."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, found: Direct, term: Term, options: Options) -> Tensor:
        given = [getattr(options, name) for name in _PER_CLASS]
        # Whatever may change before a second derivative is asked for.
        tensors = [each if isinstance(each, Tensor) else None for each in given]
        keep(ctx, found.gradient, input, found.target, *tensors)
        ctx.dtype, ctx.rows, ctx.term, ctx.options = input.dtype, found.rows, term, options
        return found.loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None, None
        if not torch.is_grad_enabled():
            return scaled_gradient(ctx, grad_loss, ctx.dtype), None, None, None
        _, input, target, *tensors = ctx.saved_tensors
        kept = zip(_PER_CLASS, tensors, strict=True)
        options = ctx.options._replace(**{name: each for name, each in kept if each is not None})
        logits, plan = prepared(input, target, ctx.rows, ctx.term, options)
        loss = in_shape_of(input, WHOLE.value(logits, plan), plan)
        (grad,) = torch.autograd.grad(loss, input, grad_loss, create_graph=True)
        return grad, None, None, None
