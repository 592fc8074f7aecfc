"""The base of box losses: one value per pair of boxes, in one of three formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Unpack

from torch import Tensor

from taylored.core.boxes.geometry import BoxFormat, Pair, corners
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
    values: Callable[[Pair], Tensor],
    input: Tensor,
    target: Tensor,
    *,
    format: BoxFormat = "xyxy",
    **shared: Unpack[ValueCall],
) -> Tensor:
    """The loss of predicted boxes against targets, from what pairs of boxes cost."""
    check_boxes(input, target)

    def of_tensors(input: Tensor, target: Tensor) -> Tensor:
        return values(Pair.of(corners(input, format), corners(target, format)))

    return value_loss(of_tensors, input, target, inner=1, **shared)


def check_boxes(input: Tensor, target: Tensor) -> None:
    """Refuse what is no boxes."""
    check_alike(input=input, target=target)
    if input.dim() == 0 or input.shape[-1] != 4:
        fail("input", "boxes, four numbers on the last axis", f"shape {tuple(input.shape)}",
             "use boxes.reshape(-1, 4), or movedim for another axis")  # fmt: skip


class BoxLoss(ValueLoss):
    """A loss of predicted boxes against target boxes; a subclass fills `costs`."""

    takes: ClassVar[Takes] = "boxes"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = (
        "input and target (..., 4), predicted and true boxes, pair by pair; a box whose second "
        "corner lies before the first is empty."
    )
    format: Format = "xyxy"

    def check_call(self, input: Tensor, target: Tensor) -> None:
        """Refuse what is no boxes."""
        check_boxes(input, target)

    def costs(self, pair: Pair) -> Tensor:
        """What each pair of boxes costs; the slot of a subclass."""
        raise NotImplementedError

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per pair of boxes."""
        return self.costs(Pair.of(corners(input, self.format), corners(target, self.format)))
