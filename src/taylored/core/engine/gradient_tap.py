"""Seeing the gradient on logits that nobody has as a tensor: formed by pieces, or overwritten."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.positions import Place, rows, singles
from taylored.core.state.gradient_indicator import GradientSums


class Watch:
    """Adds up the absolute gradient of every class, split by the truth, as it is shown to it."""

    def __init__(self, shape: torch.Size, target: Tensor) -> None:
        self._dense = target.shape == shape
        self._target = target
        self._sums: ClassSums | None = None

    def begin(self, logits: Tensor) -> None:
        """A loss starts to show the gradient on logits like these, (N, C[, S])."""
        if self._sums is not None:
            fail(
                "loss",
                "one loss of this library where the logits are no tensor",
                "a function that calls several",
                "watch one of them, or pass the logits themselves",
            )
        self._sums = ClassSums.of(logits, unsigned=False)
        if self._dense:
            self._target = self._target.flatten(2) if self._target.dim() > 3 else self._target
        else:
            self._target = self._target.flatten(1) if self._target.dim() > 2 else self._target

    def see(self, gradient: Tensor, place: Place | None = None) -> None:
        """Take the gradient on all logits, (N, C[, S]), or on some positions, (n, C)."""
        assert self._sums is not None  # noqa: S101 - begun
        target = self._target
        if self._dense:
            target = target if place is None else rows(target, place)
            self._sums.add_split(gradient, target.to(gradient.dtype).clamp(0.0, 1.0))
        else:
            target = target if place is None else singles(target, place)
            self._sums.add_single(gradient, target.long())

    def found(self) -> GradientSums | None:
        """The sums; None where no loss has shown anything."""
        if self._sums is None:
            return None
        return GradientSums(self._sums.positive, self._sums.negative, None)


_watch: ContextVar[Watch | None] = ContextVar("taylored_watch", default=None)


@contextlib.contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Within the context a loss without logits shows its gradient to the watch."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def watched() -> Watch | None:
    """Who is looking, if anybody."""
    return None if torch.compiler.is_compiling() else _watch.get()
