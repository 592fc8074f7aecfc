"""The bases of box losses: one value per pair of boxes, axis-aligned, rotated or in space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Unpack

from torch import Tensor

from taylored.core.boxes.geometry import BoxFormat, Pair
from taylored.core.checks import fail
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

Format = Annotated[
    BoxFormat,
    About(
        'how a box is written: "xyxy" two corners, "xywh" a corner and the sides, "cxcywh" the '
        "centre and the sides",
        shared=True,
    ),
]


class BoxCall(ValueCall, total=False):
    """The shared keywords of a call of a box loss's function."""

    format: BoxFormat


def box_loss(
    costs: Callable[[Pair], Tensor],
    input: Tensor,
    target: Tensor,
    *,
    format: BoxFormat = "xyxy",
    **shared: Unpack[ValueCall],
) -> Tensor:
    """The loss of predicted boxes against targets, from what pairs of boxes cost."""
    check_boxes(input, target, (4,))

    def values(input: Tensor, target: Tensor) -> Tensor:
        return costs(Pair.of(input, target, format))

    return value_loss(values, input, target, inner=1, **shared)


def check_boxes(input: Tensor, target: Tensor, widths: tuple[int, ...]) -> None:
    """Refuse what is no boxes, each of so many numbers on the last axis."""
    check_alike(input=input, target=target)
    if input.dim() == 0 or input.shape[-1] not in widths:
        numbers = " or ".join(map(str, widths))
        fail("input", f"boxes, {numbers} numbers on the last axis", f"shape {tuple(input.shape)}",
             f"use boxes.reshape(-1, {widths[0]}), or movedim for another axis")  # fmt: skip


class BoxLoss(ValueLoss):
    """A loss of predicted boxes against target boxes; a subclass fills `costs`."""

    takes: ClassVar[Takes] = "boxes"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = (
        "input and target (..., 4), predicted and true boxes, pair by pair. A box whose second "
        "corner lies before the first has a side of length 0, at its middle."
    )
    format: Format = "xyxy"

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Refuse what is no boxes."""
        check_boxes(input, target, (4,))

    def costs(self, pair: Pair) -> Tensor:
        """What each pair of boxes costs; the slot of a subclass."""
        raise NotImplementedError

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair of boxes."""
        return self.costs(Pair.of(input, target, self.format))
