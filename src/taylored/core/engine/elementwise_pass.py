"""The single pass over losses of `core/engine/elementwise.py`: forward finds the gradient.

Autograd finds the gradient of one piece of the batch at a time, so that what it saves is as large
as a piece. For the whole batch nothing but the gradient is kept, as in
`core/engine/tensor_pass.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from taylored.core.context import compiling, has_tangent
from taylored.core.engine import blocked, executors, tensor_pass
from taylored.core.engine.backward import keep, scaled_gradient
from taylored.core.engine.blocked import Blocked, Collector
from taylored.core.engine.elementwise import (
    ElementBatch,
    Values,
    composed,
    element_batch,
    elements,
)
from taylored.core.engine.executor import gradient_dtype
from taylored.core.inputs.logits import Logits
from taylored.core.links.margins import margins_and_pullback
from taylored.core.plan.canonical import in_shape_of
from taylored.core.plan.options import Options
from taylored.core.terms.fast_point import PiecePoint
from taylored.core.terms.point import continued, inside


class _PieceByPiece(torch.autograd.Function):
    """(logits, what they are given with, values) -> loss."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, given: ElementBatch, values: Values) -> Tensor:
        loss, gradient = _sweep(given, values)
        keep(ctx, gradient, logits, given.plan.target, *given.beside)
        # A loss that outlives its graph is not to keep the logits alive.
        ctx.given = replace(given, logits=logits.new_empty(0), beside=())
        ctx.values, ctx.dtype = values, logits.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None]:
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None
        if torch.is_grad_enabled():  # double backward: differentiate the composed reference
            _, logits, target, *beside = ctx.saved_tensors
            plan = replace(ctx.given.plan, target=target)
            given = replace(ctx.given, logits=logits, plan=plan, beside=tuple(beside))
            (grad,) = torch.autograd.grad(
                composed(given, ctx.values), logits, grad_loss, create_graph=True
            )
            return grad, None, None
        return scaled_gradient(ctx, grad_loss, ctx.dtype), None, None


def element_loss(
    input: Logits, target: Tensor, values: Values, options: Options, *beside: Tensor
) -> Tensor:
    """One loss per element; for the softmax link their sum over the classes of a position.

    `weight` multiplies the elements of a class. `alpha`, `pos_weight` and `label_smoothing` mean
    different things in different losses: a loss that has them applies them itself, in `values`.
    """
    return loss_of_batch(input, element_batch(input, target, options, *beside), values)


def loss_of_batch(input: Logits, given: ElementBatch, values: Values) -> Tensor:
    """The loss in the shape that the caller's input asks for."""
    if not _in_pieces(given) or _reaches_further(given, values):
        loss = composed(given, values)
    elif torch.is_grad_enabled() and given.logits.requires_grad:
        loss = _PieceByPiece.apply(given.logits, given, values)
    else:
        loss = _value(given, values)
    return in_shape_of(input, loss, given.plan)


def pieces(given: ElementBatch) -> Iterator[ElementBatch]:
    """All positions, in one piece or in several where that saves memory: for code that counts."""
    if not _in_pieces(given):
        yield given
        return
    for place in blocked.places(given.logits):
        yield given.piece(place)


def _in_pieces(given: ElementBatch) -> bool:
    """Whether pieces save time, and no derivative is needed that only the composed form has."""
    executor = Blocked()
    if compiling() or executor.name not in executors.asked():
        return False
    if not executor.accepts(given.logits, given.plan):
        return False
    if torch.is_grad_enabled() and any(each.requires_grad for each in given.beside):
        return False
    return not tensor_pass.needs_composition(given.logits, given.plan)


def _reaches_further(given: ElementBatch, values: Values) -> bool:
    """Whether `values` contains tensors of its own for which derivatives could be asked."""
    first = given.piece((slice(0, 1), slice(None), slice(0, 1))[: given.logits.dim()])
    found = elements(replace(first, logits=first.logits.detach()))
    losses = values(PiecePoint(inside(found.margins(given.plan))), found.y, *first.beside)
    return losses.requires_grad or has_tangent(losses)


def _sweep(given: ElementBatch, values: Values) -> tuple[Tensor, Tensor]:
    """The loss, and the gradient of its sum."""
    collected = Collector(given.logits, given.plan)
    gradient = torch.empty_like(given.logits, dtype=gradient_dtype(given.logits))
    # Bypasses the saved-tensor hooks of the user, such as those that offload: what is saved here is
    # freed within this call.
    with saved_tensors_hooks(_detached, _unchanged):
        for place in blocked.places(given.logits):
            piece = given.piece(place)
            found = elements(piece)
            coefficient = found.coefficient
            margins, pull_back = margins_and_pullback(found.z, given.plan)
            with torch.enable_grad():
                margins.requires_grad_()
                losses = values(PiecePoint(inside(margins)), found.y, *piece.beside)
                losses = continued(losses, margins, coefficient)
                outputs = coefficient.expand(losses.shape)
                (pulls,) = torch.autograd.grad(losses, margins, outputs)
            gradient[place].copy_(pull_back(pulls))
            collected.add(place, _summed(losses.detach() * coefficient, given))
    return collected.loss(), gradient


def _value(given: ElementBatch, values: Values) -> Tensor:
    """The loss alone."""
    collected = Collector(given.logits, given.plan)
    with torch.no_grad():
        for place in blocked.places(given.logits):
            piece = given.piece(place)
            found = elements(piece)
            margins = found.margins(given.plan)
            losses = values(PiecePoint(inside(margins)), found.y, *piece.beside)
            losses = continued(losses, margins, found.coefficient) * found.coefficient
            collected.add(place, _summed(losses, given))
    return collected.loss()


def _summed(losses: Tensor, given: ElementBatch) -> Tensor:
    """The losses as they are reported: for softmax, the sum over the classes of a position."""
    return losses.sum(dim=1) if given.plan.link == "softmax" else losses


def _detached(saved: Tensor) -> Tensor:
    return saved.detach()  # an output that refers to itself would be freed late


def _unchanged(saved: Tensor) -> Tensor:
    return saved
