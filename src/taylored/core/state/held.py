"""Reading a buffer that the same forward updates, where a compiler is at work.

The partitioner of torch.compile may recompute in backward what forward computed from a buffer. If
forward then updates that buffer, backward reads the new contents: silently wrong gradients
(pytorch pull request 197039). What this operator returns cannot be recomputed and is saved instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("taylored", "DEF")
_LIBRARY.define("held(Tensor values) -> Tensor")
_LIBRARY.impl("held", lambda values: values.clone(), "CompositeExplicitAutograd")


def held(values: Tensor) -> Tensor:
    """The values as they are now, for good."""
    if not torch.compiler.is_compiling():
        return values  # eager code computes nothing again
    copy: Tensor = torch.ops.taylored.held(values)
    return copy
