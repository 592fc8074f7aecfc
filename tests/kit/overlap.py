"""Overlap losses: examples at several shapes, and targets of every kind that they take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from kit.catalogued import OVERLAP
from references import Call
from taylored import catalog

CLASSES = 5
SHAPES = ((3, 5), (2, 5, 7), (3, 5, 4, 3), (2, 5, 3, 2, 4))
"""Of logits: without, and with one to three axes of positions."""

LEAST_AXES = {name: spec.module.least_axes for name, spec in OVERLAP.items()}
"""How many axes of positions a loss needs."""


@dataclass(frozen=True)
class Case:
    """An example of a loss, with a kind of target, at some shape of the logits."""

    text: str
    kind: str = "index"
    shape: tuple[int, ...] = (3, 5, 4, 3)

    @property
    def call(self) -> Call:
        return Call.of(self.text)

    @property
    def link(self) -> str:
        return str(self.call.option("link", catalog.spec(self.text).links[0]))

    @property
    def average(self) -> str:
        defaults = {p.name: p.default for p in catalog.spec(self.text).accepted}
        return str(self.call.option("average", defaults["average"]))

    def having(self, **options: Any) -> Case:
        return replace(self, text=self.call.having(**options).text())

    def loss(self, **options: Any) -> nn.Module:
        return catalog.get(self.call.having(**options).text())

    def logits(self, dtype: torch.dtype = torch.float64) -> Tensor:
        generator = torch.Generator().manual_seed(sum(self.shape))
        return (2 * torch.randn(self.shape, generator=generator, dtype=torch.float64)).to(dtype)

    def target(self) -> Tensor:
        return target_of(self.kind, self.shape)

    def positions(self) -> tuple[int, ...]:
        return (*self.shape[:1], *self.shape[2:])

    def __str__(self) -> str:
        return f"{self.text}-{self.kind}-{'x'.join(map(str, self.shape))}"


def target_of(kind: str, shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """Truths: class indices, one-hot, probabilities (of one class, or of each), or multi-hot."""
    generator = torch.Generator().manual_seed(seed + len(shape))
    index = torch.randint(0, shape[1] - 1, (shape[0], *shape[2:]), generator=generator)
    if kind == "index":  # the last class is nowhere
        return index
    if kind == "one-hot":
        return torch.nn.functional.one_hot(index, shape[1]).movedim(-1, 1)
    drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
    if kind == "probabilities":
        return drawn / drawn.sum(dim=1, keepdim=True)
    if kind == "soft":
        return drawn
    assert kind == "multi-hot", kind
    return (drawn > 0.6).double()


def kinds_of(link: str) -> tuple[str, ...]:
    if link == "softmax":
        return ("index", "one-hot", "probabilities")
    return ("index", "multi-hot", "soft")


def _examples() -> list[Case]:
    return [Case(text) for spec in OVERLAP.values() for text in spec.examples]


def _shaped(kinds: int) -> list[Case]:
    """Every example with some kinds of targets: kinds and shapes take turns."""
    found = []
    for number, case in enumerate(_examples()):
        shapes = [s for s in SHAPES if len(s) - 2 >= LEAST_AXES[case.call.name]]
        known = kinds_of(case.link)
        for turn in range(number, number + kinds):
            shape = shapes[turn % len(shapes)]
            found.append(replace(case, kind=known[turn % len(known)], shape=shape))
    return found


EXAMPLES = _examples()
SHAPED = _shaped(2)
TURNED = _shaped(1)
FIRST = [Case(spec.examples[0]) for spec in OVERLAP.values()]
