"""Losses that remember something: where a forward may count, and where it is refused."""

from __future__ import annotations

import torch

from taylored.core.checks import fail
from taylored.core.context import compiling, transformed


def refuse_side_effects(allowed: str, fix: str) -> None:
    """Refuse a forward that would change a state where that is impossible, or happens twice.

    Args:
        allowed: how the loss may be called inside a transform.
        fix: what to do for that.
    """
    refuse_inside_transforms(allowed, fix)
    if not compiling():
        refuse_inside_backward()


def refuse_inside_transforms(allowed: str, fix: str) -> None:
    """Refuse to change a state where nothing may be written to."""
    if transformed():
        fail(
            "loss",
            f"{allowed} inside torch.func transforms, which allow no side effects",
            "a training forward that counts",
            fix,
        )


def refuse_inside_backward() -> None:
    """Refuse to count in a forward that backward runs again, as activation checkpointing does.

    It would count twice, and by then the state is another one: the gradient of another loss.
    """
    if torch._C._current_graph_task_id() != -1:
        fail(
            "loss",
            "outside of activation checkpointing while it counts",
            "a forward inside of backward, which would count the batch again and see another state",
            "checkpoint the model only: loss(torch.utils.checkpoint.checkpoint(model, x), target)",
        )
