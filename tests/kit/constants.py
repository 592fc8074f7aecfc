"""Factors through which no gradient flows, held for finite differences.

A loss with such a factor (the alpha of CIoU, the weight of Focal-EIoU) has the gradient of its
value with the factor fixed. Differences of the values see the factor move, unless it is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor

from taylored.core.boxes import geometry

Loss = Callable[..., Tensor]


@contextmanager
def constants_held(loss: Loss, arguments: tuple[Tensor, ...]) -> Iterator[Loss]:
    """The loss, whose constants stay those of these arguments."""
    kept: list[Tensor] = []

    def recorded(values: Tensor) -> Tensor:
        kept.append(values.detach().clone())
        return kept[-1]

    def held(*given: Tensor) -> Tensor:
        again = iter(kept)
        with _replaced(lambda values: next(again)):
            return loss(*given)

    with _replaced(recorded):
        loss(*arguments)
    yield held


@contextmanager
def _replaced(constant: Callable[[Tensor], Tensor]) -> Iterator[None]:
    original = geometry.constant
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("taylored.") and getattr(module, "constant", None) is original:
                patch.setattr(module, "constant", constant)
        yield
