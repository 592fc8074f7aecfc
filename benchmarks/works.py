"""What is measured: races, one per shape, of every contestant that computes one of its losses."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from peers import PEERS, Loss, installed
from torch import Tensor

import taylored
from taylored.core.engine import executors

How = Literal["native", "blocked", "compiled", "eager", "copy"]
OURS = {
    "sigmoid focal": 'focal(gamma=2, link="sigmoid", alpha=0.25)',
    "sigmoid Poly focal": 'poly(epsilon=1, gamma=2, link="sigmoid", alpha=0.25)',
    "binary cross-entropy": "binary_cross_entropy",
    "cross-entropy": "cross_entropy",
    "Poly-1": "poly(epsilon=2)",
    "Poly-3": "poly(epsilon=[2, 1, 0.5])",
    "focal": "focal(gamma=2)",
    "label smoothing": "cross_entropy(label_smoothing=0.1)",
}
FLOOR = "copy of the logits"
BAR = "cross-entropy"


@dataclass(frozen=True)
class Contestant:
    """One way to compute one loss.

    Attributes:
        loss: a key of `OURS`, or `FLOOR`.
        library: "taylored" or the library of a peer.
        how: our executor, "compiled" (torch.compile), "eager" (a peer as it is), or "copy".
    """

    loss: str
    library: str
    how: How

    def build(self) -> Loss:
        """The loss, not yet compiled."""
        if self.how == "copy":
            return lambda x, _: x.detach().clone()
        if self.library == "taylored":
            return taylored.get(OURS[self.loss])
        return next(peer.build() for peer in PEERS[self.loss] if peer.library == self.library)

    def asked(self) -> AbstractContextManager[None]:
        """The context in which it runs: our executors one at a time.

        Small batches are no work for "blocked"; there it is the plain torch expression.
        """
        return executors.only(self.how) if self.is_executor() else contextlib.nullcontext()

    def is_executor(self) -> bool:
        """Whether this is ours without a compiler."""
        return self.library == "taylored" and self.how in ("native", "blocked")

    def __str__(self) -> str:
        return f"{self.library}, {self.how}"


@dataclass(frozen=True)
class Race:
    """All that compute these losses on logits of one shape; they take turns in one process."""

    shape: tuple[int, ...]
    target: Literal["index", "multi-hot"]
    losses: tuple[str, ...]

    @property
    def elements(self) -> int:
        """How many logits."""
        return math.prod(self.shape)

    @property
    def small(self) -> bool:
        """Whether the calls cost more than the numbers."""
        return self.elements < 1_000_000

    def label(self) -> str:
        """The shape, as shown in the tables."""
        return " x ".join(f"{size:,}" for size in self.shape)

    def inputs(self) -> tuple[Tensor, Tensor]:
        """The same logits and targets every time."""
        torch.manual_seed(0)
        logits = torch.randn(self.shape, requires_grad=True)
        if self.target == "multi-hot":
            return logits, (torch.rand(self.shape) < 0.05).float()
        return logits, torch.randint(0, self.shape[1], self.shape[:1] + self.shape[2:])

    def contestants(
        self, only: str, names: Sequence[str], compiled: Literal["yes", "no"]
    ) -> list[Contestant]:
        """The floor, then loss by loss ours and the installed peers.

        Args:
            only: keep the losses whose "loss, shape" contains this; cross-entropy, the bar for
                every softmax loss, stays.
            names: our executors.
            compiled: whether everybody competes under torch.compile too.
        """
        kept = [loss for loss in self.losses if only in f"{loss}, {self.label()}"]
        if not kept:
            return []
        if BAR in self.losses and BAR not in kept:
            kept.insert(0, BAR)
        found = [Contestant(FLOOR, "torch", "copy")]
        for loss in kept:
            libraries = [
                peer.library
                for peer in PEERS[loss]
                if installed(peer.distribution) and (len(self.shape) == 2 or not peer.rows_only)
            ]
            found += [Contestant(loss, "taylored", how) for how in names]
            found += [Contestant(loss, library, "eager") for library in libraries]
            if compiled == "yes" and not self.small:
                together = ("taylored", *libraries)
                found += [Contestant(loss, library, "compiled") for library in together]
        return found


SOFTMAX = ("cross-entropy", "Poly-1", "Poly-3", "focal")
SIGMOID = ("sigmoid focal", "sigmoid Poly focal", "binary cross-entropy")
RACES = (
    Race((200_000, 80), "multi-hot", SIGMOID),
    Race((65_536, 100), "index", (*SOFTMAX, "label smoothing")),
    Race((8_192, 1_000), "index", SOFTMAX),
    Race((8, 21, 512, 512), "index", SOFTMAX),
    Race((64, 10), "index", ("cross-entropy", "Poly-1", "focal")),
    Race((256, 1_000), "index", ("cross-entropy", "Poly-1", "focal")),
)


def available(names: Sequence[str]) -> list[str]:
    """Our executors that exist here; says so for one that does not."""
    found = []
    for name in names:
        try:
            with executors.only(name):
                found.append(name)
        except ValueError:
            print(f"{name}: not built")
    return found
