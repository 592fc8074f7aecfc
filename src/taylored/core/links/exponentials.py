"""Exponentials of the adjusted logits on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from taylored.core.links.scratch import Scratch
from taylored.core.numerics import computing_dtype
from taylored.core.plan.plan import Block, Plan, along_classes

BITS_PER_NAT = 1.0 / math.log(2.0)
"""e^z is 2 to the power of z times this number; torch takes a quarter of the time for exp2."""


def bits_of(block: Block, plan: Plan, scratch: Scratch, offset: Tensor | None = None) -> Tensor:
    """The adjusted logits times log2 e, in scratch memory; `offset` is taken off them first."""
    dtype = computing_dtype(block.logits)
    z = scratch.take("bits", block.logits, dtype)
    factor = BITS_PER_NAT / plan.temperature
    # Half-precision logits are converted before they are multiplied, not after.
    logits = block.logits if block.logits.dtype == dtype else z.copy_(block.logits)
    if offset is not None:
        logits = torch.sub(logits, offset, out=z)
    if plan.scale is not None:
        scale = along_classes(plan.scale, block.logits)
        logits = torch.mul(logits, scale, out=z)
        if offset is not None:
            logits = torch.addcmul(logits, scale - scale.amax(), offset, out=z)
    if plan.bias is None:
        return torch.mul(logits, factor, out=z)
    bias = along_classes(plan.bias, block.logits) * factor
    return torch.add(bias, logits, alpha=factor, out=z)


def offsets(block: Block) -> Iterator[Tensor | None]:
    """What to take off the logits: nothing, and then the largest of each position.

    The latter comes off before a bias is added, which would be rounded to the digits of the offset.
    """
    yield None
    yield block.logits.amax(dim=1, keepdim=True)


def well_inside_range(*sizes: Tensor) -> bool:
    """Whether these exponentials, and quotients of two of them, are well inside the float range."""
    bound = 2.0**60 if sizes[0].dtype == torch.float32 else 2.0**500
    together = sizes[0] if len(sizes) == 1 else torch.cat(sizes)
    # Written so that NaN is out of range.
    return float(together.amin()) > 1.0 / bound and float(together.amax()) < bound
