"""The bases of box losses: one value per pair of boxes, axis-aligned, rotated or in space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Unpack

from torch import Tensor

from taylored.core.boxes.gaussian import GaussianPair
from taylored.core.boxes.geometry import BoxFormat, Pair
from taylored.core.boxes.space import pair_in_space
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
    check_boxes(input, target, BoxLoss.numbers)

    def values(input: Tensor, target: Tensor) -> Tensor:
        return costs(Pair.of(input, target, format))

    return value_loss(values, input, target, inner=1, **shared)


def rotated_box_loss(
    costs: Callable[[GaussianPair], Tensor],
    input: Tensor,
    target: Tensor,
    **shared: Unpack[ValueCall],
) -> Tensor:
    """The loss of predicted rotated boxes against targets."""
    check_boxes(input, target, RotatedBoxLoss.numbers)

    def values(input: Tensor, target: Tensor) -> Tensor:
        return costs(GaussianPair.of(input, target))

    return value_loss(values, input, target, inner=1, **shared)


def space_box_loss(
    costs: Callable[[Pair], Tensor],
    input: Tensor,
    target: Tensor,
    **shared: Unpack[ValueCall],
) -> Tensor:
    """The loss of predicted boxes in space against targets."""
    check_boxes(input, target, SpaceBoxLoss.numbers)

    def values(input: Tensor, target: Tensor) -> Tensor:
        return costs(pair_in_space(input, target))

    return value_loss(values, input, target, inner=1, **shared)


def check_boxes(input: Tensor, target: Tensor, numbers: tuple[int, ...]) -> None:
    """Refuse what is no boxes, each of so many numbers on the last axis."""
    check_alike(input=input, target=target)
    if input.dim() == 0 or input.shape[-1] not in numbers:
        many = " or ".join(map(str, numbers))
        fail("input", f"boxes, {many} numbers on the last axis", f"shape {tuple(input.shape)}",
             f"use boxes.reshape(-1, {numbers[0]}), or movedim for another axis")  # fmt: skip


class AnyBoxLoss(ValueLoss):
    """What losses of boxes of any kind have in common.

    Attributes:
        numbers: how many numbers a box may have.
    """

    inner: ClassVar[int] = 1
    numbers: ClassVar[tuple[int, ...]]

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Refuse what is no boxes."""
        check_boxes(input, target, self.numbers)


class BoxLoss(AnyBoxLoss):
    """A loss of predicted boxes against target boxes; a subclass fills `costs`."""

    takes: ClassVar[Takes] = "boxes"
    numbers: ClassVar[tuple[int, ...]] = (4,)
    shapes: ClassVar[str] = (
        "input and target (..., 4), predicted and true boxes, pair by pair. A box whose second "
        "corner lies before the first has a side of length 0, at its middle."
    )
    format: Format = "xyxy"

    def costs(self, pair: Pair) -> Tensor:
        """What each pair of boxes costs; the slot of a subclass."""
        raise NotImplementedError

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair of boxes."""
        return self.costs(Pair.of(input, target, self.format))


class RotatedBoxLoss(AnyBoxLoss):
    """A loss of rotated boxes in the plane; a subclass fills `costs`."""

    takes: ClassVar[Takes] = "rotated_boxes"
    numbers: ClassVar[tuple[int, ...]] = (5,)
    shapes: ClassVar[str] = (
        "input and target (..., 5), predicted and true boxes, pair by pair: centre x and y, width, "
        "height, and the angle of the width in radians."
    )

    def costs(self, pair: GaussianPair) -> Tensor:
        """What each pair of boxes costs; the slot of a subclass."""
        raise NotImplementedError

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair of boxes."""
        return self.costs(GaussianPair.of(input, target))


class SpaceBoxLoss(AnyBoxLoss):
    """A loss of boxes in space; a subclass fills `costs`."""

    takes: ClassVar[Takes] = "boxes_3d"
    numbers: ClassVar[tuple[int, ...]] = (6, 7)
    shapes: ClassVar[str] = (
        "input and target (..., 6) or (..., 7), predicted and true boxes, pair by pair: the centre "
        "x, y, z, the sides along the box's own x, y, z, and with seven numbers the yaw, the angle "
        "about z from x towards y in radians."
    )

    def costs(self, pair: Pair) -> Tensor:
        """What each pair of boxes costs; the slot of a subclass."""
        raise NotImplementedError

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair of boxes."""
        return self.costs(pair_in_space(input, target))
