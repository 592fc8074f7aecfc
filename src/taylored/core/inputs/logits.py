"""What a loss of the engine accepts as its input: logits, or something in their place."""

from __future__ import annotations

from torch import Tensor

from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits

Logits = Tensor | LinearLogits | Donated
"""Logits; features and weight that they would be formed of; or logits that may be overwritten."""


def outline(input: Logits) -> Tensor:
    """A tensor with the shape, dtype and device of the logits: all that a plan is made from.

    Anything that is no input at all comes back as it is, for the checks to refuse.
    """
    return input.outline() if isinstance(input, (LinearLogits, Donated)) else input
