"""What the generated suites run on: every example of every SPEC, with targets, shapes and paths."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, settings
from torch import Tensor, nn

from kit.traits import STATEFUL
from references import Call
from taylored import catalog
from taylored.core.state.gradient_indicator import GradientIndicator

CLASSES = 5
COUNTS = (900, 250, 40, 7, 1)
PER_CLASS = ("gamma", "alpha", "weight", "pos_weight", "counts")
# Accumulated gradients that losses with state are given: head to tail, the last class unseen.
STATE = {"positive": (9.0, 4.0, 1.5, 0.2, 0.0), "negative": (9.5, 6.0, 4.0, 2.0, 0.5)}
# Seven rows, so that the classes cannot all occur equally often.
SHAPES = ((7, CLASSES), (3, CLASSES, 4), (2, CLASSES, 2, 3))
IGNORED = -100

# A repeatable handful of examples; a failure found elsewhere belongs into an @example.
quickly = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


GENERATED = {name: spec for name, spec in catalog.SPECS.items() if spec.call == "plain"}
"""Losses that the suites call, with logits and targets; the others have suites of their own."""


def examples() -> list[str]:
    return [text for spec in GENERATED.values() for text in spec.examples]


def call_of(text: str) -> Call:
    """The call, told about the data if it needs it, and with the state that it is to be in."""
    return _informed(Call.of(text))


def _informed(call: Call) -> Call:
    spec, arguments = catalog.SPECS[call.name], dict(call.arguments)
    if "counts" in spec.needs:
        arguments.setdefault("counts", list(COUNTS))
    if "num_classes" in spec.needs:
        arguments.setdefault("num_classes", CLASSES)
    state = {k: list(v) for k, v in STATE.items()} if call.name in STATEFUL else {}
    inner = None if call.inner is None else _informed(call.inner)
    return Call(call.name, inner, arguments, state)


def differentiated(call: Call) -> bool:
    """Whether the gradient is the derivative of the value, which numerical derivatives need."""
    # The compensation of seesaw is computed from the logits, and constant by definition.
    return not (call.name == "seesaw" and call.arguments.get("q", 2.0) > 0)


def resized(call: Call, classes: int) -> Call:
    """The same loss with its per-class lists cut to a number of classes."""
    cut = {
        name: value[:classes] if name in PER_CLASS and isinstance(value, list) else value
        for name, value in call.arguments.items()
    }
    if "num_classes" in cut:
        cut["num_classes"] = classes
    inner = None if call.inner is None else resized(call.inner, classes)
    return Call(call.name, inner, cut, {k: v[:classes] for k, v in call.state.items()})


def permuted(call: Call, order: list[int]) -> Call:
    """The same loss with its per-class lists reordered."""
    moved = {
        name: [value[i] for i in order] if name in PER_CLASS and isinstance(value, list) else value
        for name, value in call.arguments.items()
    }
    inner = None if call.inner is None else permuted(call.inner, order)
    state = {name: [values[i] for i in order] for name, values in call.state.items()}
    return Call(call.name, inner, moved, state)


def build(call: Call) -> nn.Module:
    """The module, its per-class numbers kept in float64; in its state, and staying there."""
    with default_dtype(torch.float64):
        loss = catalog.get(call.text())
    for found in loss.modules():
        if isinstance(found, GradientIndicator):
            found.load(**call.state)
            found.freeze()
    return loss


def target_kinds(call: Call) -> tuple[str, ...]:
    """What SPEC promises for the link of this call; probabilities of a sigmoid are "soft"."""
    if call.name == "class_balanced" and call.link() == "sigmoid":
        if call.arguments.get("weighting", "sample") == "sample":
            return ("index",)
        return ("index", "multi-hot", "soft")
    promised = catalog.SPECS[call.name].targets
    if call.link() == "softmax":
        return tuple(kind for kind in promised if kind != "multi-hot")
    soft = {"probabilities": "soft"}
    kinds = tuple(soft.get(kind, kind) for kind in promised)
    return tuple(kind for kind in ("index", "multi-hot", "soft") if kind in kinds)


@dataclass(frozen=True)
class Case:
    """One example of a SPEC with one kind of target and one shape."""

    text: str
    target: str
    shape: tuple[int, ...]

    @property
    def id(self) -> str:
        return f"{self.text}-{self.target}-{'x'.join(map(str, self.shape))}".replace(" ", "")

    @property
    def call(self) -> Call:
        return call_of(self.text)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(zlib.crc32(self.id.encode()))

    def logits(self, dtype: torch.dtype = torch.float64) -> Tensor:
        drawn = torch.randn(self.shape, generator=self.generator(), dtype=torch.float64)
        return (2 * drawn).to(dtype)

    def targets(self, *, ignored: bool = True) -> Tensor:
        """Drawn targets; where they may be ignored, some positions or elements are."""
        generator = self.generator()
        positions = self.shape[:1] + self.shape[2:]
        if self.target == "index":
            y = torch.randint(self.shape[1], positions, generator=generator)
            few = y.view(-1)[:5]
            few.copy_(torch.arange(len(few)) % self.shape[1])  # every class occurs if it can
            if ignored:
                y.view(-1)[1] = IGNORED
            return y
        if self.target == "probabilities":
            drawn = torch.rand(self.shape, generator=generator, dtype=torch.float64)
            return drawn / drawn.sum(dim=1, keepdim=True)
        if self.target == "multi-hot":
            y = (torch.rand(self.shape, generator=generator) < 0.4).long()
        else:
            y = torch.rand(self.shape, generator=generator, dtype=torch.float64)
        if ignored:
            y.view(-1)[::4] = IGNORED
        return y


def cases(shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[Case]:
    return [
        Case(text, kind, shape)
        for text in examples()
        for kind in target_kinds(call_of(text))
        for shape in shapes
    ]


def identified(found: list[Case]) -> dict[str, object]:
    """Arguments of `parametrize` for a list of cases."""
    return {"argnames": "case", "argvalues": found, "ids": [case.id for case in found]}
