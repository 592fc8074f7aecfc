"""Graphs of one loss, built anew as often as a check needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kit.cases import Case, build
from kit.executors import running
from kit.traits import NEED_A_TENSOR, NEED_ALL_LOGITS
from taylored import LinearLogits, donate
from taylored.core.state.counting import Counting

INPUTS = ("leaf", "computed", "strided", "linear", "donated", "counted")
"""How the logits come to the loss."""

REFUSED = {"linear": NEED_ALL_LOGITS, "donated": NEED_A_TENSOR}
"""The losses that refuse logits in such a form."""


@dataclass(frozen=True)
class Graph:
    """A value, and what it has gradients on.

    Attributes:
        leaves: tensors that want a gradient.
        logits: what the loss was given, where that is a tensor.
        value: the loss, a scalar.
    """

    leaves: tuple[Tensor, ...]
    logits: Tensor
    value: Tensor

    def gradients(self, factor: float = 1.0, *, retain: bool = True) -> tuple[Tensor, ...]:
        """Gradients of a multiple of the value."""
        value = self.value if factor == 1.0 else factor * self.value
        return torch.autograd.grad(value, self.leaves, retain_graph=retain)

    def copies(self, *, retain: bool = True) -> list[Tensor]:
        """The gradients, in memory of their own."""
        return [gradient.clone() for gradient in self.gradients(retain=retain)]


@dataclass(frozen=True)
class Maker:
    """Builds the same graph again and again, along one way of the engine."""

    case: Case
    path: str
    input: str

    def __call__(self, wrapped: Callable[..., Tensor] | None = None) -> Graph:
        """A new graph; `wrapped(loss, input, target)` may call the loss in its own way."""
        loss, z = self._loss(), self.case.logits()
        target = self.case.targets()
        call = wrapped or (lambda function, *given: function(*given))
        with running(self.path):
            if self.input == "linear":
                return self._linear(loss, call, z, target)
            z.requires_grad_()
            logits = self._logits(z)
            given = donate(logits) if self.input == "donated" else logits
            value = call(loss, given, target)
        return Graph((z,), logits, value.sum())

    def expected(self) -> list[Tensor]:
        """The gradients, by plain differentiable operations."""
        path = self.path if self.input in ("linear", "donated") else "composed"
        return Maker(self.case, path, self.input)().copies()

    def _loss(self) -> nn.Module:
        loss = build(self.case.call)
        if self.input == "counted":
            for part in loss.modules():
                if isinstance(part, Counting):
                    part.unfreeze()
        return loss

    def _logits(self, z: Tensor) -> Tensor:
        if self.input == "strided":
            return (z.transpose(0, 1) * 1.0).transpose(0, 1)
        return z * 1.0 if self.input in ("computed", "donated") else z

    def _linear(
        self, loss: nn.Module, call: Callable[..., Tensor], z: Tensor, target: Tensor
    ) -> Graph:
        generator = self.case.generator()
        width, classes = 3, z.shape[1]
        draw = [
            torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
            for shape in ((z.shape[0], *z.shape[2:], width), (classes, width), (classes,))
        ]
        value = call(loss, LinearLogits(*draw), target)
        return Graph(tuple(draw), draw[0], value.sum())


def inputs_of(case: Case) -> Iterator[str]:
    """The ways that a loss takes its logits."""
    for kind in INPUTS:
        if case.call.name in REFUSED.get(kind, ()):
            continue
        if kind == "counted" and not _counts(case):
            continue
        yield kind


def _counts(case: Case) -> bool:
    return any(isinstance(part, Counting) for part in build(case.call).modules())


@contextmanager
def keeping(kept: list[Tensor]) -> Iterator[None]:
    """Keep, as a user may, every tensor that is saved for backward."""

    def pack(saved: Tensor) -> Tensor:
        kept.append(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        yield
