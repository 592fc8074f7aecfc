"""What a loss of the p_t family accepts as its input: logits, or a substitute for them."""

from __future__ import annotations

from torch import Tensor

from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.sharded_logits import ShardedLogits

Logits = Tensor | LinearLogits | Donated | ShardedLogits
"""Logits; features and weight to form them of; logits that the loss may overwrite; or those of
some of the classes."""

SUBSTITUTES = (LinearLogits, Donated, ShardedLogits)
"""What can be used instead of logits. Each kind has

- `shape`, `dtype`, `device`, `requires_grad` and `dim()`, those of the logits;
- `outline()`, a tensor with the logits' shape, dtype and device, from which a plan is made;
- `REMEDY`, what to pass instead to a loss that needs all logits at once.

How the loss of each kind is found is the engine's to know (`core/engine/one_pass.py`).
"""


def outline(input: Logits) -> Tensor:
    """A tensor with the shape, dtype and device of the logits, which need not have their values.

    An object of any other kind comes back as it is, for the checks to refuse.
    """
    return input.outline() if isinstance(input, SUBSTITUTES) else input
