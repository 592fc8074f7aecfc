"""Losses that remember something cannot do so inside torch.func, which allows no side effects."""

from __future__ import annotations

from taylored.core.checks import fail
from taylored.core.context import transformed


def refuse_inside_transforms(allowed: str, fix: str) -> None:
    """Refuse a forward that would change a state; `allowed` is how the loss may be called."""
    if transformed():
        fail(
            "loss",
            f"{allowed} inside torch.func transforms, which allow no side effects",
            "a training forward that counts",
            fix,
        )
