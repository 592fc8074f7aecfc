"""The single pass over losses of `core/engine/elementwise.py`: forward finds the gradient.

The form of a loss says what it makes of a piece; `core/rows/` has another one.

Autograd finds the gradient of one piece of the batch at a time, so that what it saves is as large
as a piece. For the whole batch nothing but the gradient is kept, as in
`core/engine/tensor_pass.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

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
    elements,
)
from taylored.core.engine.executor import Swept, gradient_dtype
from taylored.core.inputs.logits import Logits
from taylored.core.links.margins import margins_and_pullback
from taylored.core.plan.canonical import in_shape_of
from taylored.core.terms.fast_point import PiecePoint
from taylored.core.terms.point import continued, inside


class Form(Protocol):
    """What a loss makes of a batch, or of a piece of one."""

    def composed(self, given: ElementBatch) -> Tensor:
        """The loss, differentiable in every slot and mode: the reference."""
        ...

    def each(self, given: ElementBatch) -> Tensor:
        """The weighted losses of a piece as they are reported, without a gradient."""
        ...

    def each_and_gradient(self, given: ElementBatch) -> tuple[Tensor, Tensor]:
        """The same, and the gradient of their sum on the logits."""
        ...

    def reaches_further(self, given: ElementBatch) -> bool:
        """Whether it contains tensors of its own for which derivatives could be asked."""
        ...


@dataclass(frozen=True, eq=False)
class Elementwise:
    """The form of a loss with one value per element."""

    values: Values

    def composed(self, given: ElementBatch) -> Tensor:
        """The loss, differentiable in every slot and mode: the reference."""
        return composed(given, self.values)

    def each(self, given: ElementBatch) -> Tensor:
        """The weighted losses of a piece."""
        found = elements(given)
        margins = found.margins(given.plan)
        losses = self.values(PiecePoint(inside(margins)), found.y, *given.beside)
        losses = continued(losses, margins, found.coefficient) * found.coefficient
        return _summed(losses, given)

    def each_and_gradient(self, given: ElementBatch) -> tuple[Tensor, Tensor]:
        """The same, and the gradient of their sum on the logits."""
        found = elements(given)
        coefficient = found.coefficient
        margins, pull_back = margins_and_pullback(found.z, given.plan)
        with torch.enable_grad():
            margins.requires_grad_()
            losses = self.values(PiecePoint(inside(margins)), found.y, *given.beside)
            losses = continued(losses, margins, coefficient)
            outputs = coefficient.expand(losses.shape)
            (pulls,) = torch.autograd.grad(losses, margins, outputs)
        return _summed(losses.detach() * coefficient, given), pull_back(pulls)

    def reaches_further(self, given: ElementBatch) -> bool:
        """Whether the values contain tensors for which derivatives could be asked."""
        found = elements(given)
        margins = found.margins(given.plan)
        losses = self.values(PiecePoint(inside(margins)), found.y, *given.beside)
        return losses.requires_grad or has_tangent(losses)


class _PieceByPiece(torch.autograd.Function):
    """(logits, what they are given with, form of the loss) -> loss."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, given: ElementBatch, form: Form) -> Tensor:
        loss, gradient = sweep_of_form(given, form)
        keep(ctx, gradient, logits, given.plan.target, *given.beside)
        # A loss that outlives its graph is not to keep the logits alive.
        ctx.given = replace(given, logits=logits.new_empty(0), beside=())
        ctx.form, ctx.dtype = form, logits.dtype
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
                ctx.form.composed(given), logits, grad_loss, create_graph=True
            )
            return grad, None, None
        return scaled_gradient(ctx, grad_loss, ctx.dtype), None, None


def loss_of_batch(input: Logits, given: ElementBatch, values: Values) -> Tensor:
    """The loss in the shape that the caller's input asks for."""
    return in_shape_of(input, loss_of_form(given, Elementwise(values)), given.plan)


def loss_of_form(given: ElementBatch, form: Form) -> Tensor:
    """The loss of canonical logits, by the cheapest way that gives every derivative needed."""
    if not _in_pieces(given) or reaches_further(given, form):
        return form.composed(given)
    if torch.is_grad_enabled() and given.logits.requires_grad:
        loss: Tensor = _PieceByPiece.apply(given.logits, given, form)
        return loss
    collected = Collector(given.logits, given.plan)
    with torch.no_grad():
        for place in blocked.places(given.logits):
            collected.add(place, form.each(given.piece(place)))
    return collected.loss()


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


def reaches_further(given: ElementBatch, form: Form) -> bool:
    """Whether a form contains tensors for which derivatives could be asked; one position tells."""
    first = given.piece((slice(0, 1), slice(None), slice(0, 1))[: given.logits.dim()])
    return form.reaches_further(replace(first, logits=first.logits.detach()))


def sweep_of_form(given: ElementBatch, form: Form, into: Tensor | None = None) -> Swept:
    """The loss, and the gradient of its sum, which may be written over the logits."""
    collected = Collector(given.logits, given.plan)
    gradient = into
    if gradient is None:
        gradient = torch.empty_like(given.logits, dtype=gradient_dtype(given.logits))
    # Bypasses the saved-tensor hooks of the user, such as those that offload: what is saved here is
    # freed within this call.
    with saved_tensors_hooks(_detached, _unchanged):
        for place in blocked.cached(given.logits):
            losses, found = form.each_and_gradient(given.piece(place))
            gradient[place].copy_(found)
            collected.add(place, losses)
    return Swept(collected.loss(), gradient)


def _summed(losses: Tensor, given: ElementBatch) -> Tensor:
    """The losses as they are reported: for softmax, the sum over the classes of a position."""
    return losses.sum(dim=1) if given.plan.link == "softmax" else losses


def _detached(saved: Tensor) -> Tensor:
    return saved.detach()  # an output that refers to itself would be freed late


def _unchanged(saved: Tensor) -> Tensor:
    return saved
