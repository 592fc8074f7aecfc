"""Losses that give one value per position of what they are called on: arguments for each kind.

A new kind of loss draws its arguments in a function of its own, and adds it to `DRAW`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kit.catalogued import VALUES
from references import REFERENCES, Call
from taylored import catalog
from taylored.modules.spec import Spec
from taylored.modules.values import ValueLoss

SHAPES = ((), (6,), (4, 3), (2, 3, 2))
"""Of positions."""

Arguments = tuple[Tensor, ...]


def numbers(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Two real tensors, in the domain that the loss says."""
    both = (2, *shape)
    return tuple(torch.randn(both, generator=generator, dtype=torch.float64))


def counts(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Rates, which are logarithms of rates as well, and counts."""
    rate = 0.2 + 3 * torch.rand(shape, generator=generator, dtype=torch.float64)
    return rate, 1.0 + torch.poisson(2.0 + 0.0 * rate, generator=generator)


def with_variance(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    variance = 0.1 + torch.rand(shape, generator=generator, dtype=torch.float64)
    return (*numbers(shape, generator, spec), variance)


def distributions(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Logits and probabilities."""
    both = torch.randn((2, *shape, 5), generator=generator, dtype=torch.float64)
    return both[0], both[1].softmax(-1)


def scores(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Scores on either side, and answers."""
    score = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return score, torch.randint(2, shape, generator=generator)


def signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.randint(2, shape, generator=generator) - 1


def score_pairs(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    return (*numbers(shape, generator, spec), signs(shape, generator))


def distances(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Distances within the margin and beyond, and whether the things belong together."""
    distance = 3 * torch.rand(shape, generator=generator, dtype=torch.float64)
    return distance, signs(shape, generator)


def vector_pairs(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    return (*numbers((*shape, 4), generator, spec), signs(shape, generator))


def ranks(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Outputs, one per threshold between five ranks or one per rank, and ranks."""
    columns = 5 if spec.name == "emd" else 4
    output = torch.randn((*shape, columns), generator=generator, dtype=torch.float64)
    return output, torch.randint(5, shape, generator=generator)


def classed(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Vectors and their classes."""
    vectors = torch.randn((*shape, 2), generator=generator, dtype=torch.float64)
    return vectors, torch.randint(3, shape, generator=generator)


def boxes(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    """Boxes that overlap, contain each other, or lie apart, and are boxes in every format.

    The first pair overlaps, or a few pairs might say nothing about a loss of overlaps.
    """
    start = 3 * torch.rand((2, *shape, 2), generator=generator, dtype=torch.float64)
    start.view(2, -1, 2)[1, :1] = start.view(2, -1, 2)[0, :1] + 0.1
    sides = 0.2 + 2 * torch.rand((2, *shape, 2), generator=generator, dtype=torch.float64)
    return tuple(torch.cat([start, start + sides], -1))


def rotated_boxes(
    shape: tuple[int, ...], generator: torch.Generator, spec: Spec, axes: int = 2
) -> Arguments:
    """Centres near each other, sides, and an angle of any size."""
    parts = (axes, axes, 1)
    centre, sides, angle = (
        torch.rand((2, *shape, size), generator=generator, dtype=torch.float64) for size in parts
    )
    return tuple(torch.cat([2 * centre, 0.5 + 2 * sides, 10 * angle - 5], -1))


def boxes_in_space(shape: tuple[int, ...], generator: torch.Generator, spec: Spec) -> Arguments:
    return rotated_boxes(shape, generator, spec, axes=3)


DRAW: dict[str, Callable[..., Arguments]] = {
    "values": numbers,
    "distributions": distributions,
    "scores": scores,
    "score_pairs": score_pairs,
    "distances": distances,
    "vector_pairs": vector_pairs,
    "ranks": ranks,
    "features": classed,
    "boxes": boxes,
    "rotated_boxes": rotated_boxes,
    "boxes_3d": boxes_in_space,
}
"""By what a loss is called on."""

OWN: dict[str, Callable[..., Arguments]] = {"poisson_nll": counts, "gaussian_nll": with_variance}
"""Of losses whose numbers have a domain of their own, or that take more of them."""


def drawn(spec: Spec, shape: tuple[int, ...], generator: torch.Generator) -> Arguments:
    return OWN.get(spec.name, DRAW[spec.takes])(shape, generator, spec)


@dataclass(frozen=True)
class Direct:
    """An example of a loss, at some shape of positions."""

    text: str
    shape: tuple[int, ...] = (4, 3)

    @property
    def spec(self) -> Spec:
        return catalog.spec(self.text)

    @property
    def inner(self) -> int:
        module = self.spec.module
        assert issubclass(module, ValueLoss)
        return module.inner

    def loss(self, **options: Any) -> nn.Module:
        """The loss, in evaluation: what training counts has suites of its own."""
        call = Call.of(self.text)
        return catalog.get(call.having(**options).text()).eval()

    def arguments(self, dtype: torch.dtype = torch.float64) -> Arguments:
        generator = torch.Generator().manual_seed(len(self.shape))
        found = drawn(self.spec, self.shape, generator)
        return tuple(each.to(dtype) if each.is_floating_point() else each for each in found)

    def expected(self, arguments: Arguments) -> Tensor:
        """Unreduced, in float64, by the reference."""
        call = Call.of(self.text)
        wide = [each.double() if each.is_floating_point() else each for each in arguments]
        return REFERENCES[call.name](*wide, call.arguments)

    def __str__(self) -> str:
        return f"{self.text}-{'x'.join(map(str, self.shape))}"


EXAMPLES = [Direct(text) for spec in VALUES.values() for text in spec.examples]
ALONE = [each for each in EXAMPLES if each.spec.call != "batch"]
"""Those whose positions know nothing of each other."""
SHAPED = [Direct(each.text, shape) for each in EXAMPLES for shape in SHAPES]
FIRST = [Direct(spec.examples[0]) for spec in VALUES.values()]
FIRST_OF_KIND = {
    ("boxes" in each.spec.takes or each.spec.takes): each for each in reversed(FIRST)
}.values()
SAME = [(Direct(one), Direct(other)) for spec in VALUES.values() for one, other in spec.identities]
"""Pairs of calls that must give the same numbers."""
