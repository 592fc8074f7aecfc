"""Refuse a loss that cannot train, before any time is spent on it."""

from typing import Final

import torch
from torch import Tensor

from taylored.lab.data import TaskName
from taylored.lab.errors import UsageError, described
from taylored.lab.trial.links import LossFunction
from taylored.own import FAILURES

_CHECKED_LOGITS: Final = 1 << 20


def check_loss(name: str, loss: LossFunction, num_classes: int, task: TaskName) -> None:
    """Refuse a loss that is no finite scalar, or whose gradient is missing, zero or not finite."""
    generator = torch.Generator().manual_seed(0)
    # Every class is the truth once, unless there are so many that the logits would be a gigabyte.
    rows = max(8, min(num_classes, _CHECKED_LOGITS // num_classes))
    target = torch.arange(rows) % num_classes
    logits = torch.randn(len(target), num_classes, generator=generator, requires_grad=True)
    if task == "multi-label":  # two labels in every row, three in every third
        hot = torch.nn.functional.one_hot(target, num_classes)
        hot = hot + hot.roll(1, 0)
        hot[::3] += hot[::3].roll(2, 1)
        target = hot.clamp(max=1).float()
    try:
        value = loss(logits, target)
    except FAILURES as error:
        raise UsageError(
            f"loss {name!r} fails on logits {tuple(logits.shape)} and targets "
            f"{tuple(target.shape)} of type {_dtype(target)}: {described(error)}"
        ) from error
    if not isinstance(value, Tensor) or value.ndim != 0:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(
            f"loss {name!r} must return a scalar tensor, it returned {got}. "
            "Average over the batch, for instance with .mean()."
        )
    if not bool(torch.isfinite(value)):
        raise UsageError(f"loss {name!r} is {value.item()} on ordinary random logits.")
    if not value.requires_grad:
        raise UsageError(
            f"loss {name!r} gives no gradient: its result does not depend on the logits. "
            "Look for .detach(), .item(), argmax or torch.no_grad()."
        )
    try:
        (gradient,) = torch.autograd.grad(value, logits, allow_unused=True)
    except FAILURES as error:
        raise UsageError(f"loss {name!r} fails in backward: {described(error)}") from error
    if gradient is None or not bool(gradient.any()):
        raise UsageError(f"loss {name!r} gives a gradient of zero on ordinary random logits.")
    if not bool(torch.isfinite(gradient).all()):
        raise UsageError(f"loss {name!r} has a gradient that is not finite on random logits.")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
