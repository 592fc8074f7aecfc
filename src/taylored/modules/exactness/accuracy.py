"""How exact the float32 numbers of a loss are: measured by `docs/accuracy_table.py`, and tested.

What a rounding is, and what the numbers were measured on, is in docs/accuracy.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Accuracy(NamedTuple):
    """Bounds of the errors of a loss.

    Attributes:
        value: of the value of a position, in roundings.
        value_tail: errors of it below 2 to minus this are allowed besides.
        gradient: of an entry of the gradient on the logits, in roundings.
        gradient_tail: as for the value.
    """

    value: int
    value_tail: int
    gradient: int
    gradient_tail: int

    def said(self) -> str:
        """The bounds in a sentence."""
        value = _bound(self.value, self.value_tail)
        gradient = _bound(self.gradient, self.gradient_tail)
        return f"In float32 the value is within {value}, the gradient within {gradient}"


USUAL_TAIL = 100
"""A tail that is not worth a word."""


def _bound(roundings: int, tail: int) -> str:
    within = f"{roundings} roundings"
    return within if tail == USUAL_TAIL else f"{within} plus 2^-{tail}"
