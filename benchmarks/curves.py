"""What growth.py draws: families of losses, the ways to compute each, and sizes along two axes."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from peers import PEERS, installed
from torch import Tensor
from works import OURS

import taylored
from taylored.core.engine import executors

Axis = Literal["positions", "classes"]
Family = Literal["softmax Poly-1", "sigmoid focal", "linear head"]
Step = Callable[[], object]
FEATURES = 128
FLOOR = "copy of the logits"
TORCH_IN_CHUNKS = "linear_cross_entropy" in dir(F)  # torch 2.13 and later

SIZES = {
    ("softmax Poly-1", "positions"): [(n, 100) for n in (100, 1_000, 10_000, 100_000, 1_000_000)],
    ("sigmoid focal", "positions"): [(n, 100) for n in (100, 1_000, 10_000, 100_000, 1_000_000)],
    ("linear head", "positions"): [(n, 10_000) for n in (100, 320, 1_000, 3_200, 10_000)],
    ("softmax Poly-1", "classes"): [(128, c) for c in (100, 1_000, 10_000, 100_000, 1_000_000)],
    ("sigmoid focal", "classes"): [(128, c) for c in (100, 1_000, 10_000, 100_000, 1_000_000)],
    ("linear head", "classes"): [(256, c) for c in (100, 1_000, 10_000, 100_000, 1_000_000)],
}


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes:
        family: which column.
        who: as labelled.
        kind: "ours", "eager" or "compiled" peers, or "floor": how it is drawn.
        executor: of ours, or None for what a plain call gets.
    """

    family: Family
    who: str
    kind: Literal["ours", "eager", "compiled", "floor"]
    executor: str | None = None

    def asked(self) -> AbstractContextManager[None]:
        """The context in which it runs."""
        return executors.only(self.executor) if self.executor else contextlib.nullcontext()

    def step(self, shape: tuple[int, int]) -> Step:
        """Forward and backward on the inputs of that size."""
        torch.compiler.reset()
        return _linear(self, shape) if self.family == "linear head" else _plain(self, shape)


def curves(family: Family, names: Sequence[str]) -> list[Curve]:
    """The lines of a family; `names` are our executors."""
    if family == "linear head":
        ours = [Curve(family, "LinearLogits", "ours")] if _has_linear() else []
        return [
            *ours,
            Curve(family, "linear, cross-entropy", "eager"),
            *([Curve(family, "torch in chunks", "eager")] if TORCH_IN_CHUNKS else []),
            Curve(family, FLOOR, "floor"),
        ]
    ours = [Curve(family, name, "ours", name) for name in names]
    if family == "sigmoid focal":
        peers = [Curve(family, "torchvision", "eager"), Curve(family, "torchvision", "compiled")]
        return [*ours, *(peers if installed("torchvision") else []), Curve(family, FLOOR, "floor")]
    peers = [
        Curve(family, "torch cross-entropy", "eager"),
        Curve(family, "torch cross-entropy", "compiled"),
    ]
    timm = [Curve(family, "timm", "eager")] if installed("timm") else []
    return [*ours, *peers, *timm, Curve(family, FLOOR, "floor")]


def _has_linear() -> bool:
    """Whether this version of the library has linear heads."""
    try:
        importlib.import_module("taylored.core.inputs.linear_logits")
    except ModuleNotFoundError:
        print("LinearLogits: not built")
        return False
    return True


def _plain(curve: Curve, shape: tuple[int, int]) -> Step:
    torch.manual_seed(0)
    logits = torch.randn(shape, requires_grad=True)
    sigmoid = curve.family == "sigmoid focal"
    target = torch.randint(0, shape[1], shape[:1])
    if sigmoid:
        target = (torch.rand(shape) < 0.05).float()
    loss: Callable[[Tensor, Tensor], Tensor]
    if curve.kind == "floor":
        return lambda: logits.detach().clone()
    if curve.kind == "ours":
        loss = taylored.get(OURS["sigmoid focal" if sigmoid else "Poly-1"])
    elif curve.who == "torch cross-entropy":
        loss = F.cross_entropy
    else:
        peers = PEERS["sigmoid focal" if sigmoid else "Poly-1"]
        loss = next(peer.build() for peer in peers if peer.library == curve.who)
    if curve.kind == "compiled":
        loss = torch.compile(loss, dynamic=False)
    return lambda: torch.autograd.grad(loss(logits, target), logits)


def _linear(curve: Curve, shape: tuple[int, int]) -> Step:
    torch.manual_seed(0)
    positions, classes = shape
    if curve.kind == "floor":
        logits = torch.randn(shape)
        return lambda: logits.clone()
    features = torch.randn(positions, FEATURES, requires_grad=True)
    weight = (torch.randn(classes, FEATURES) * FEATURES**-0.5).requires_grad_()
    target = torch.randint(0, classes, (positions,))
    loss = HEADS[curve.who]
    return lambda: torch.autograd.grad(loss(features, weight, target), (features, weight))


def _ours_linear(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return taylored.cross_entropy_loss(taylored.LinearLogits(features, weight), target)


def _plain_linear(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(features, weight), target)


def _chunked_linear(features: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(features, weight, target, options=options)


HEADS = {
    "LinearLogits": _ours_linear,
    "linear, cross-entropy": _plain_linear,
    "torch in chunks": _chunked_linear,
}


def floor_bytes(family: Family, shape: tuple[int, int]) -> int:
    """What cannot be saved: the gradient that is asked for."""
    positions, classes = shape
    if family == "linear head":
        return 4 * FEATURES * (positions + classes)
    return 4 * positions * classes
