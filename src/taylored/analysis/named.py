"""The losses that an analysis is asked about, each with the name that it is shown by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from taylored.catalog.lookup import get
from taylored.core.checks import fail
from taylored.modules.base import Loss
from taylored.own import is_reference, own_loss

LossFunction = Callable[[Tensor, Tensor], Tensor]

Losses = Mapping[str, str | LossFunction] | Sequence[str | LossFunction]
"""Texts of the catalogue or of your own code, modules and functions, or names with them."""


def named(losses: Losses) -> dict[str, LossFunction]:
    """Name and function of each loss; texts are built, and your own code is imported.

    >>> list(named(["focal(gamma=2)", torch.nn.BCEWithLogitsLoss(), torch.dist]))
    ['focal(gamma=2)', 'BCEWithLogitsLoss', 'dist']
    """
    if isinstance(losses, str) or callable(losses):
        fail("losses", "a list or a dict of losses", "a single one", "put it into [ ]")
    return {name: _built(each) if isinstance(each, str) else each for name, each in by_name(losses)}


def _built(text: str) -> LossFunction:
    return own_loss(text).build() if is_reference(text) else get(text)


def by_name(losses: Losses) -> Iterable[tuple[str, str | LossFunction]]:
    """Name of each loss, and the loss as it was given."""
    if isinstance(losses, Mapping):
        return losses.items()
    found = {_name(loss): loss for loss in losses}
    if len(found) < len(losses):
        fail("losses", "of different names", f"{len(losses)} losses, {len(found)} names",
             'name them: {"first": loss, "second": other}')  # fmt: skip
    return found.items()


def _name(loss: str | LossFunction) -> str:
    if isinstance(loss, str):
        return loss.strip()
    if not callable(loss):
        fail("losses", "catalogue texts, modules or functions of logits and target",
             repr(loss), 'write for example "focal(gamma=2)"')  # fmt: skip
    if isinstance(loss, Loss):
        return repr(loss)
    return str(type(loss).__name__ if isinstance(loss, nn.Module) else
               getattr(loss, "__name__", "loss"))  # fmt: skip


def gradient(loss: LossFunction, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient of the sum of a loss; logits that it does not look at get zeros."""
    leaf = logits.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = loss(leaf, target).sum()
        if not value.requires_grad:
            return value, torch.zeros_like(leaf)
        (found,) = torch.autograd.grad(value, leaf, allow_unused=True, materialize_grads=True)
    return value.detach(), found
