"""One pass over the losses of `core/engine/elementwise.py`: forward finds the gradient too, piece by piece.

Their gradient is autograd's, of one piece at a time: what it keeps for that is as large as a piece
and soon gone. Of the whole batch there is the gradient and nothing else, as in `core/engine/one_pass.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.graph import saved_tensors_hooks

from taylored.core.engine import executors, one_pass
from taylored.core.engine.backward import scaled
from taylored.core.engine.elementwise import Own, Values, coefficients, composed, elements, own
from taylored.core.engine.margins import margins_and_pullback
from taylored.core.engine.piece_point import PiecePoint
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options


class _PieceByPiece(torch.autograd.Function):
    """(logits, what they are given with, values) -> loss."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, given: Own, values: Values) -> Tensor:
        loss, gradient = _sweep(given, values)
        ctx.save_for_backward(logits, given.plan.target, gradient, *given.beside)
        ctx.given, ctx.values = given, values
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, None, None]:
        logits, target, gradient, *beside = ctx.saved_tensors
        grad_loss = grad_outputs[0]
        if grad_loss is None:
            return None, None, None
        if torch.is_grad_enabled():  # double backward: differentiate the composed reference
            plan = replace(ctx.given.plan, target=target)
            given = replace(ctx.given, logits=logits, plan=plan, beside=tuple(beside))
            (grad,) = torch.autograd.grad(
                composed(given, ctx.values), logits, grad_loss, create_graph=True
            )
            return grad, None, None
        return scaled(gradient, grad_loss, logits.dtype), None, None


def element_loss(
    input: Logits, target: Tensor, values: Values, options: Options, *beside: Tensor
) -> Tensor:
    """One loss per element; for the softmax link their sum over the classes of a position.

    `weight` multiplies the elements of a class. `alpha`, `pos_weight` and `label_smoothing` have no
    meaning that holds for every such loss: one that has them applies them itself, in `values`.
    """
    return loss_of(input, own(input, target, options, *beside), values)


def loss_of(input: Logits, given: Own, values: Values) -> Tensor:
    """The loss in the shape that the caller's input asks for."""
    if not _in_pieces(given) or _reaches_further(given, values):
        loss = composed(given, values)
    elif torch.is_grad_enabled() and given.logits.requires_grad:
        loss = _PieceByPiece.apply(given.logits, given, values)
    else:
        loss = _value(given, values)
    return one_pass.in_shape_of(input, loss, given.plan)


def pieces(given: Own) -> Iterator[Own]:
    """All positions in one piece, or in pieces where that saves memory: for what is counted."""
    if not _in_pieces(given):
        yield given
        return
    for place in executors.places(given.logits):
        yield given.piece(place)


def _in_pieces(given: Own) -> bool:
    """Whether it is worth it, and neither a compiler nor a transform looks on."""
    blocked = executors.Blocked()
    if torch.compiler.is_compiling() or blocked.name not in executors.asked():
        return False
    if not blocked.accepts(given.logits, given.plan):
        return False
    if torch.is_grad_enabled() and any(each.requires_grad for each in given.beside):
        return False
    return not one_pass.needs_composition(given.logits, given.plan)


def _reaches_further(given: Own, values: Values) -> bool:
    """Whether derivatives of the numbers that `values` brings with it could be asked for."""
    first = given.piece((slice(0, 1), slice(None), slice(0, 1))[: given.logits.dim()])
    found = elements(replace(first, logits=first.logits.detach()))
    losses = values(PiecePoint(found.margins(given.plan)), found.y, *first.beside)
    return losses.requires_grad or forward_ad.unpack_dual(losses).tangent is not None


def _sweep(given: Own, values: Values) -> tuple[Tensor, Tensor]:
    """The loss, and the gradient of its sum."""
    collected = executors.Collector(given.logits, given.plan)
    gradient = torch.empty_like(given.logits, dtype=executors.gradient_dtype(given.logits))
    # What is saved here is used at once: not for hooks that offload or count what they see.
    with saved_tensors_hooks(_for_nobody_else, _as_it_is):
        for place in executors.places(given.logits):
            piece = given.piece(place)
            found = elements(piece)
            coefficient = coefficients(piece, found)
            margins, pull_back = margins_and_pullback(found.z, given.plan)
            with torch.enable_grad():
                margins.requires_grad_()
                losses = values(PiecePoint(margins), found.y, *piece.beside)
                outputs = coefficient.expand(losses.shape)
                (pulls,) = torch.autograd.grad(losses, margins, outputs)
            gradient[place].copy_(pull_back(pulls))
            collected.add(place, _summed(losses.detach() * coefficient, given))
    return collected.loss(), gradient


def _value(given: Own, values: Values) -> Tensor:
    """The loss alone."""
    collected = executors.Collector(given.logits, given.plan)
    with torch.no_grad():
        for place in executors.places(given.logits):
            piece = given.piece(place)
            found = elements(piece)
            losses = values(PiecePoint(found.margins(given.plan)), found.y, *piece.beside)
            collected.add(place, _summed(losses * coefficients(piece, found), given))
    return collected.loss()


def _summed(losses: Tensor, given: Own) -> Tensor:
    """Softmax: the classes of a position are one loss."""
    return losses.sum(dim=1) if given.plan.link == "softmax" else losses


def _for_nobody_else(saved: Tensor) -> Tensor:
    return saved.detach()  # an output that held itself would be freed late


def _as_it_is(saved: Tensor) -> Tensor:
    return saved
