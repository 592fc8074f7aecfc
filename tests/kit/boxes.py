"""Pairs of boxes as no formula likes them, for the losses of every kind of boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kit.catalogued import VALUES
from taylored import catalog
from taylored.modules.boxes import AnyBoxLoss

Lengths = tuple[float, float]
Geometry = tuple[Lengths, Lengths, Lengths]
"""Offset of the centres, sides of the prediction, sides of the target."""

GEOMETRIES: dict[str, Geometry] = {
    "ordinary": ((0.3, -0.4), (2.0, 1.0), (1.5, 2.5)),
    "identical": ((0.0, 0.0), (2.0, 1.0), (2.0, 1.0)),
    "one centre": ((0.0, 0.0), (1.0, 2.0), (2.0, 1.0)),
    "inside": ((0.25, 0.125), (1.0, 0.5), (2.0, 2.0)),
    "inside, at an edge": ((0.5, 0.0), (1.0, 2.0), (2.0, 2.0)),
    "around": ((0.25, 0.125), (2.0, 2.0), (1.0, 0.5)),
    "apart": ((5.0, 4.0), (2.0, 1.0), (1.0, 2.0)),
    "apart along an axis": ((5.0, 0.0), (2.0, 2.0), (2.0, 2.0)),
    "edges touch": ((2.0, 0.0), (2.0, 2.0), (2.0, 2.0)),
    "corners touch": ((2.0, 2.0), (2.0, 2.0), (2.0, 2.0)),
    "a point inside": ((0.25, 0.5), (0.0, 0.0), (2.0, 2.0)),
    "a point at the centre": ((0.0, 0.0), (0.0, 0.0), (2.0, 2.0)),
    "a point as target": ((0.25, 0.5), (2.0, 2.0), (0.0, 0.0)),
    "two points": ((1.0, 2.0), (0.0, 0.0), (0.0, 0.0)),
    "one point": ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
    "a line": ((0.5, 0.0), (2.0, 0.0), (2.0, 2.0)),
    "lines that cross": ((0.0, 0.0), (2.0, 0.0), (0.0, 2.0)),
    "lines that overlap": ((1.0, 0.0), (2.0, 0.0), (2.0, 0.0)),
    "one line": ((0.0, 0.0), (2.0, 0.0), (2.0, 0.0)),
    "inverted": ((0.5, 0.5), (-1.0, -2.0), (2.0, 2.0)),
    "inverted along an axis": ((0.5, 0.5), (-1.0, 2.0), (2.0, 2.0)),
    "both inverted": ((0.5, 0.5), (-1.0, -2.0), (-2.0, -1.0)),
    "collapsed": ((0.5, 0.5), (0.0, 0.0), (2.0, 2.0)),
    "collapsed along an axis": ((0.5, 0.5), (0.0, 2.0), (2.0, 2.0)),
    "both collapsed": ((0.5, 0.5), (0.0, 0.0), (0.0, 0.0)),
    "a sliver": ((0.5, 0.0), (1e-6, 1.0), (2.0, 2.0)),
    "across": ((0.0, 0.0), (1e3, 1e-3), (1e-3, 1e3)),
    "a speck far away": ((1e4, 1e4), (1e-4, 1e-3), (1.0, 1.0)),
}

BOX_LOSSES = {name: spec for name, spec in VALUES.items() if issubclass(spec.module, AnyBoxLoss)}
TEXTS = [text for spec in BOX_LOSSES.values() for text in spec.examples]
ABSOLUTE = {"mpdiou", "nwd"}
"""Measured in the unit of the boxes: the image, or a constant."""


def flat(geometry: Geometry, scale: float, place: float, format: str) -> tuple[Tensor, Tensor]:
    """A pair in the plane, the target's centre at a place, times a scale."""
    offset, size, target_size = (torch.tensor(each, dtype=torch.float64) for each in geometry)
    centre = torch.full((2,), place, dtype=torch.float64)
    found = []
    for middle, sides in ((centre + offset, size), (centre, target_size)):
        first = middle if format == "cxcywh" else middle - sides / 2
        second = middle + sides / 2 if format == "xyxy" else sides
        found.append(torch.cat([first, second]) * scale)
    return found[0], found[1]


def rotated(geometry: Geometry, scale: float, place: float, format: str) -> tuple[Tensor, Tensor]:
    """The same, turned by angles that agree or do not."""
    boxes, target = flat(geometry, scale, place, "cxcywh")
    angle = boxes.new_tensor([0.5])
    return torch.cat([boxes, angle]), torch.cat([target, angle * (2.0 if place else 1.0)])


def in_space(geometry: Geometry, scale: float, place: float, format: str) -> tuple[Tensor, Tensor]:
    """The same with the second axis once more, turned by one yaw, or by none."""
    angle = 0.0 if place else 0.5
    found = [
        torch.cat([box[[0, 1, 1, 2, 3, 3]], box.new_tensor([angle])])
        for box in flat(geometry, scale, place, "cxcywh")
    ]
    return found[0], found[1]


PLACED: dict[str, Callable[[Geometry, float, float, str], tuple[Tensor, Tensor]]] = {
    "boxes": flat,
    "rotated_boxes": rotated,
    "boxes_3d": in_space,
}


Outcome = tuple[Tensor, Tensor, Tensor]
"""Values, and the gradients for the predictions and the targets."""


@dataclass(frozen=True)
class Placed:
    """A loss and pairs of boxes: some geometries, of every scale and at every place.

    Scales and places go together, one by one.
    """

    text: str
    geometries: tuple[str, ...] = tuple(GEOMETRIES)
    scales: tuple[float, ...] = (1.0,)
    places: tuple[float, ...] = (0.0,)

    def loss(self) -> AnyBoxLoss:
        """In evaluation, unreduced."""
        loss = catalog.get(self.text).eval()
        loss.reduction = "none"
        return loss

    def rows(self) -> list[tuple[str, float, float]]:
        """What the rows of a batch are."""
        spots = tuple(zip(self.scales, self.places, strict=True))
        return [(name, scale, place) for scale, place in spots for name in self.geometries]

    def pairs(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        spec = catalog.spec(self.text)
        format = getattr(self.loss(), "format", "")
        found = [
            PLACED[spec.takes](GEOMETRIES[name], scale, place, format)
            for name, scale, place in self.rows()
        ]
        boxes, target = (torch.stack(each).to(dtype) for each in zip(*found, strict=True))
        return boxes, target

    def outcome(self, dtype: torch.dtype = torch.float64) -> Outcome:
        return outcome(self.loss(), *self.pairs(dtype))


def outcome(loss: AnyBoxLoss, boxes: Tensor, target: Tensor) -> Outcome:
    boxes, target = boxes.detach().requires_grad_(), target.detach().requires_grad_()
    values = loss(boxes, target)
    mine, theirs = torch.autograd.grad(values.sum(), (boxes, target))
    return values.detach(), mine, theirs
