"""What a likelihood may leave out: the term that no model can change."""

from __future__ import annotations

from typing import Literal

Constant = Literal["left_out", "included"]
"""Whether the constant is there: only then likelihoods of different kinds can be compared."""
