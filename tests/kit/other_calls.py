"""Losses whose call takes something else than logits and one target per position.

Each `Subject` draws the arguments of a call, for every example of every such SPEC; what the loss
of each position is, its reference says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kit.cases import default_dtype
from kit.catalogued import CLASSIFICATION
from references import REFERENCES, Call
from taylored import catalog
from taylored.modules.spec import Spec

CLASSES = 5
VIEWS = 3
SHAPES = ((7,), (3, 4), (2, 2, 3))
"""Of positions."""

Arguments = tuple[Tensor, Tensor, tuple[Tensor, ...]]
"""Logits (float64), target, and what a call takes besides."""


@dataclass(frozen=True)
class Subject:
    """A loss, its arguments, and its losses one by one.

    Attributes:
        text: the call, as the catalogue reads it.
    """

    text: str

    @property
    def spec(self) -> Spec:
        return catalog.spec(self.text)

    @property
    def class_axis(self) -> int:
        return 2 if self.spec.call == "stacked" else 1

    @property
    def weighted(self) -> bool:
        """Whether the loss takes `weight`."""
        return "weight" in self.spec.shared

    def arguments(self, shape: tuple[int, ...]) -> Arguments:
        generator = torch.Generator().manual_seed(len(shape))
        return DRAW[self.spec.call](shape, generator)

    def values(self, logits: Tensor, target: Tensor, further: tuple[Tensor, ...]) -> Tensor:
        """Unreduced and unweighted losses, by the reference."""
        call = Call.of(self.text)
        parameters = {**call.arguments, "features": further[0] if further else None}
        return REFERENCES[call.name](logits, target, parameters)

    def differentiated(self) -> bool:
        """Whether the gradient is the derivative of the value: not where a factor is constant."""
        logits, target, further = self.arguments((3,))
        z = logits.requires_grad_()
        (gradient,) = torch.autograd.grad(self.values(z, target, further).sum(), z)
        direction = torch.linspace(-1, 1, z.numel(), dtype=torch.float64).reshape(z.shape)
        with torch.no_grad():
            ahead, behind = (
                self.values(z + step * direction, target, further).sum() for step in (1e-6, -1e-6)
            )
        return torch.allclose((gradient * direction).sum(), (ahead - behind) / 2e-6, rtol=1e-5)

    def build(self, **options: object) -> nn.Module:
        name, inside = self.text.rstrip(")").split("(", 1)
        given = [inside] if inside else []
        given += [f"{key}={value!r}" for key, value in options.items()]
        with default_dtype(torch.float64):
            loss = catalog.get(f"{name}({', '.join(given)})")
        # A state stays where it starts; `remembering.py` has it change.
        return loss.eval()


def _with_classes(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    return (shape[0], size, *shape[1:])


def _indices(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(CLASSES, shape, generator=generator)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64)


def draw_distances(shape: tuple[int, ...], generator: torch.Generator) -> Arguments:
    target = torch.rand(shape, generator=generator, dtype=torch.float64) * (CLASSES - 1)
    target.view(-1)[-1] = CLASSES - 1  # the last bin itself
    target.view(-1)[-2] = 2.0
    return _normal(_with_classes(shape, CLASSES), generator), target, ()


def draw_features(shape: tuple[int, ...], generator: torch.Generator) -> Arguments:
    logits = _normal(_with_classes(shape, CLASSES), generator)
    features = 0.1 * _normal(_with_classes(shape, 3), generator)
    return logits, _indices(shape, generator), (features,)


def draw_views(shape: tuple[int, ...], generator: torch.Generator) -> Arguments:
    logits = _normal((VIEWS, *_with_classes(shape, CLASSES)), generator)
    return logits, _indices(shape, generator), ()


def draw_sets(shape: tuple[int, ...], generator: torch.Generator) -> Arguments:
    """Rows with some true classes, with all and with none, and truths between."""
    target = torch.randint(2, _with_classes(shape, CLASSES), generator=generator).double()
    target[0] = 0.0
    target[-1, 0] = 0.3
    return _normal(_with_classes(shape, CLASSES), generator), target, ()


DRAW = {
    "distances": draw_distances,
    "features": draw_features,
    "stacked": draw_views,
    "sets": draw_sets,
}
"""How a call of each kind is drawn."""

SUBJECTS = tuple(
    Subject(text)
    for spec in CLASSIFICATION.values()
    if spec.call not in ("plain", "batch")
    for text in spec.examples
)
