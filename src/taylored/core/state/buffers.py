"""Buffers that a loss reads and updates in the same forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from taylored.core.context import compiling, exporting
from taylored.core.numerics import widest_dtype
from taylored.core.state.side_effects import refuse_inside_backward

_LIBRARY = torch.library.Library("taylored", "DEF")
_LIBRARY.define("held(Tensor values) -> Tensor")
_LIBRARY.impl("held", lambda values: values.clone(), "CompositeExplicitAutograd")


def held(values: Tensor) -> Tensor:
    """The values of a buffer as they are now, whatever is written to it later.

    The partitioner of torch.compile may compute again in backward what forward computed from a
    buffer. If forward then updates that buffer, backward reads the new contents: silently wrong
    gradients (pytorch pull request 197039). The result of this operator is saved instead.
    """
    if not compiling() or exporting():
        return values  # nothing computes again: eager code, or a program without a backward
    copy: Tensor = torch.ops.taylored.held(values)
    return copy


def counted(values: Tensor) -> Tensor:
    """Sums that go into a state, which in a compiled program must not happen inside backward.

    Eager code is refused earlier (`core/state/side_effects.py`).
    """
    if not compiling():
        return values
    copy: Tensor = torch.ops.taylored.counted(values)
    return copy


def _counted(values: Tensor) -> Tensor:
    refuse_inside_backward()
    return values.clone()


_LIBRARY.define("counted(Tensor values) -> Tensor")
_LIBRARY.impl("counted", _counted, "CompositeExplicitAutograd")


def where_there_is_float64(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What moves a tensor, with float32 in place of float64 on devices that have none (MPS)."""

    def moved(values: Tensor) -> Tensor:
        try:
            return fn(values)
        except TypeError:
            if values.dtype is not torch.float64:
                raise
            return fn(values.float())

    return moved


def keep_known(module: nn.Module, before: Mapping[str, Tensor | None]) -> None:
    """Remember the values of buffers that go to the meta device, and give them back.

    `to_empty` leaves in a buffer whatever is in its memory. What follows from the arguments of a
    loss is in no state dict that could be loaded over it, and would silently be wrong.
    """
    apart: dict[str, Tensor] = module.__dict__.setdefault("_values_apart", {})
    for name, kept in before.items():
        moved = module._buffers.get(name)
        if kept is None or moved is None:
            continue
        if moved.is_meta and not kept.is_meta:
            apart[name] = kept.detach().cpu()
        elif kept.is_meta and not moved.is_meta and name in apart:
            module._buffers[name] = apart.pop(name).to(moved)


def keep_wide(module: nn.Module, before: Mapping[str, Tensor | None]) -> None:
    """Undo `.half()`, `.bfloat16()` and `.float()` on buffers that would lose digits there.

    Called after a module was moved, with the buffers as they were before.
    """
    for name, kept in before.items():
        moved = module._buffers.get(name)
        if kept is None or moved is None or kept.is_meta:
            continue
        wanted = torch.promote_types(kept.dtype, moved.dtype)
        if wanted is torch.float64:
            wanted = widest_dtype(moved.device)
        if wanted is not moved.dtype:
            module._buffers[name] = kept.to(moved.device, wanted)
