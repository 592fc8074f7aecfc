"""Who runs the two sweeps of the sums: a native library where there is one, torch otherwise."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from taylored.core.engine.executors import asked
from taylored.core.overlap.batch import Batch
from taylored.core.overlap.blocked import BLOCKED


class Sweep(Protocol):
    """One way to find the sums and their gradient; none is called by a compiler."""

    @property
    def name(self) -> str:
        """The executor's, in settings and error messages."""

    def accepts(self, batch: Batch) -> bool:
        """Whether it is right, and fast, here."""

    def sums(self, batch: Batch, squares: bool) -> Tensor:
        """The sums, (3 or 5, G, C) in float64; no gradient is recorded."""

    def gradient(self, batch: Batch, grad: Tensor) -> Tensor:
        """The gradient on the logits, from that on the sums."""


_SWEEPS: list[Sweep] = []


def register(sweep: Sweep) -> None:
    """Put a way to run the sweeps before those already there."""
    _SWEEPS.insert(0, sweep)


def sweep_of(batch: Batch) -> Sweep:
    """The first that is in use and accepts; torch takes everything."""
    for sweep in _SWEEPS:
        if sweep.name in asked() and sweep.accepts(batch):
            return sweep
    return BLOCKED
