"""Reports the logit gradient when the logits never exist as one tensor, or are overwritten."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.context import compiling
from taylored.core.links.class_sums import RunningSums
from taylored.core.plan.canonical import canonical
from taylored.core.plan.positions import Positions, rows_at, values_at
from taylored.core.state.gradient_indicator import GradientSums


class GradientTap:
    """Adds up the absolute gradients that a loss reports, per class and split by the truth."""

    def __init__(self, shape: torch.Size, target: Tensor) -> None:
        self._dense = target.shape == shape
        self._target = target
        self._sums: RunningSums | None = None

    def begin(self, logits: Tensor) -> None:
        """Expect the gradient on logits like these, (N, C[, S])."""
        if self._sums is not None:
            fail(
                "loss",
                "one loss of this library where the logits are no tensor",
                "a function that calls several",
                "watch one of them, or pass the logits themselves",
            )
        self._sums = RunningSums.of(logits, unsigned=False)
        if self._dense:
            self._target = canonical(self._target)
        else:
            self._target = self._target.flatten(1) if self._target.dim() > 2 else self._target

    def add(self, gradient: Tensor, place: Positions | None = None) -> None:
        """Add the gradient on all logits, (N, C[, S]), or on some positions, (n, C)."""
        assert self._sums is not None  # noqa: S101 - begun
        target = self._target
        if self._dense:
            target = target if place is None else rows_at(target, place)
            self._sums.add_split(gradient, target.to(gradient.dtype).clamp(0.0, 1.0))
        else:
            target = target if place is None else values_at(target, place)
            self._sums.add_single(gradient, target.long())

    def found(self) -> GradientSums | None:
        """The sums; None where no loss has reported anything."""
        if self._sums is None:
            return None
        return GradientSums(self._sums.positive, self._sums.negative, None)


_tap: ContextVar[GradientTap | None] = ContextVar("taylored_tap", default=None)


@contextlib.contextmanager
def tapping(tap: GradientTap) -> Iterator[None]:
    """Within the context, losses whose logits are no tensor report their gradient."""
    token = _tap.set(tap)
    try:
        yield
    finally:
        _tap.reset(token)


def active_tap() -> GradientTap | None:
    """Where to report the gradient, if anybody wants it."""
    return None if compiling() else _tap.get()
