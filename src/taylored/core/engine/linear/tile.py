"""Logits of some positions for some classes, formed in memory that is used again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.engine.linear.head import Head, Wanted, cap_, form
from taylored.core.engine.linear.products import Products
from taylored.core.numerics import HALF, computing_dtype, widest_dtype
from taylored.core.plan.positions import Positions


class Formed(NamedTuple):
    """The logits of a tile.

    Attributes:
        logits: (n, c), in the dtype of the head's products.
        bend: their derivative by the logits before the cap, or None.
    """

    logits: Tensor
    bend: Tensor | None


@dataclass(frozen=True, eq=False)
class Room:
    """Memory for one tile: as it is formed, and in the dtype to compute in, if that is wider."""

    formed: Tensor
    wide: Tensor

    @classmethod
    def of(cls, head: Head, elements: int) -> Room:
        """For tiles of so many elements."""
        formed = head.features.new_empty(elements, dtype=head.dtype)
        wide = computing_dtype(formed)
        return cls(formed, formed if wide == head.dtype else formed.new_empty(elements, dtype=wide))

    @staticmethod
    def element_bytes(head: Head) -> int:
        """What an element of a tile takes, its bend included."""
        wide = torch.float32.itemsize if head.dtype in HALF else 0
        return head.dtype.itemsize * (1 if head.softcap is None else 2) + wide


class Tiles:
    """All classes for some positions, tile by tile, and the gradients that they add up to."""

    def __init__(
        self,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        softcap: float | None,
        cuts: Sequence[slice],
        room: Room,
    ) -> None:
        self.features, self.cuts = features, cuts
        self._weight, self._bias, self._softcap, self._room = weight, bias, softcap, room

    def formed(self, columns: slice) -> Formed:
        """The logits of some classes, until the next are formed."""
        z = self._in(self._room.formed, columns)
        form(self.features, self._weight[columns], self._of_bias(columns), z)
        return Formed(z, None if self._softcap is None else cap_(z, self._softcap))

    def wide(self, z: Tensor, columns: slice) -> Tensor:
        """These logits in the dtype to compute in, where they may be overwritten."""
        room = self._in(self._room.wide, columns)
        return z if self._room.wide is self._room.formed else room.copy_(z)

    def stored(self, gradient: Tensor, columns: slice) -> Tensor:
        """A gradient in the dtype in which it is multiplied; float16 stays float32."""
        if self._room.formed.dtype != torch.bfloat16 or gradient.dtype == torch.bfloat16:
            return gradient
        return self._in(self._room.formed, columns).copy_(gradient)

    def for_gradient(self, columns: slice) -> Tensor:
        """Where an executor may write the gradient of a tile."""
        half = self._room.formed.dtype == torch.float16
        return self._in(self._room.wide if half else self._room.formed, columns)

    def _of_bias(self, columns: slice) -> Tensor | None:
        return None if self._bias is None else self._bias[columns]

    def _in(self, memory: Tensor, columns: slice) -> Tensor:
        count, width = len(self.features), columns.stop - columns.start
        return memory[: count * width].view(count, width)


class Sink:
    """Takes the gradient on the logits of some positions, tile by tile."""

    def __init__(
        self, products: Products, features: Tensor, place: Positions, counted: Tensor | None
    ) -> None:
        self._products, self._features, self._place = products, features, place
        self._for_x = products.begin(len(features))
        self.counted = counted

    def add(self, gradient: Tensor, bend: Tensor | None, columns: slice) -> None:
        """Take the gradient on the capped logits of some classes, which is overwritten."""
        if bend is not None:
            gradient.mul_(bend)
        if self._features.dtype != gradient.dtype:
            self._features = self._features.to(gradient.dtype)
        self._products.add_some(self._features, gradient, columns, self._for_x)

    def end(self) -> None:
        """All classes have been taken."""
        self._products.end(self._place, self._for_x)


def sums_for(wanted: Wanted, weight: Tensor) -> Tensor | None:
    """Zeros for the absolute gradient per class, (2, C), where somebody counts it."""
    if wanted.sums is None:
        return None
    return weight.new_zeros(2, len(weight), dtype=widest_dtype(weight.device))
