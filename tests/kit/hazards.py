"""Calls as they come in practice, each next to a tame call that must give the same numbers.

A hazard takes a tame call, with finite logits around zero and classes on axis 1, and turns it into
one that means the same: other values where nothing counts, another integer dtype, another layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kit.cases import IGNORED
from references import Call

JUNK = (math.nan, math.inf, -math.inf, 3e38)
FAR = -3e4
"""As good as -inf: a class this far below the others has no probability in any dtype."""


@dataclass(frozen=True, eq=False)
class Called:
    """A loss with what it is given.

    Attributes:
        call: the loss.
        logits, target: its input.
        untouched: entries of the logits' gradient that have to be exactly 0; None for no promise.
    """

    call: Call
    logits: Tensor
    target: Tensor
    untouched: Tensor | None = None


Hazard = Callable[[Called, torch.Generator], tuple[Called, Called] | None]
"""(tame call, dice) -> what is called, and the tame call that it equals; None if it can't be."""


def _either(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else one | other


def by_position(given: Called) -> bool:
    """Whether the target is one class index per position."""
    return given.target.dim() == given.logits.dim() - 1


def anything_where_ignored(given: Called, dice: torch.Generator) -> tuple[Called, Called] | None:
    """Ignored positions, or elements, may hold anything."""
    if given.call.option("ignore_index", IGNORED) != IGNORED:
        return None
    ignored = given.target == IGNORED
    if by_position(given):
        ignored = ignored.unsqueeze(1).expand(given.logits.shape)
    elif given.call.link() == "softmax":
        return None
    if not bool(ignored.any()):
        return None
    picks = torch.randint(len(JUNK), given.logits.shape, generator=dice)
    junk = torch.tensor(JUNK, dtype=given.logits.dtype)[picks]
    return replace(given, logits=torch.where(ignored, junk, given.logits), untouched=ignored), given


def masked_class(given: Called, dice: torch.Generator) -> tuple[Called, Called] | None:
    """A class at -inf that is nobody's truth costs nothing and gets no gradient."""
    if given.call.option("label_smoothing", 0.0) != 0.0:
        return None
    if given.call.name == "asymmetric_single_label" and "label_smoothing" not in (
        given.call.arguments
    ):
        return None  # smoothed by default
    softmax = given.call.link() == "softmax"
    masked = int(torch.randint(given.logits.shape[1], (1,), generator=dice))
    target = given.target.clone()
    if by_position(given):
        target = torch.where(target == masked, (masked + 1) % given.logits.shape[1], target)
    else:
        target[:, masked] = 0
        if softmax:
            target = target / target.sum(dim=1, keepdim=True)
    here = torch.zeros_like(given.logits, dtype=torch.bool)
    here[:, masked] = True
    tame = replace(given, target=target, logits=given.logits.masked_fill(here, FAR))
    wild = replace(
        tame,
        logits=given.logits.masked_fill(here, -math.inf),
        untouched=_either(given.untouched, here),
    )
    return wild, tame


def common_offset(given: Called, dice: torch.Generator) -> tuple[Called, Called] | None:
    """A softmax loss sees differences alone; rounding to a grid of 8 is not its fault."""
    if given.call.link() != "softmax" or given.logits.dtype != torch.float32:
        return None
    if "vector_scaling" in given.call.text():  # a factor per class: its formula has no invariance
        return None
    # 1e8 is a multiple of 8, the distance of float32 numbers there.
    steps = (8.0 * torch.randint(-3, 4, given.logits.shape, generator=dice)).to(given.logits)
    return replace(given, logits=steps + 1e8), replace(given, logits=steps)


def any_integer(given: Called, dice: torch.Generator) -> tuple[Called, Called] | None:
    """Class indices, and 0 and 1, of any integer dtype."""
    if given.target.is_floating_point():
        return None
    kinds = [torch.int8, torch.int16, torch.int32, torch.int64]
    if int(given.target.min()) >= 0:
        kinds += [torch.uint8, torch.uint16, torch.uint32, torch.uint64]
    kind = kinds[int(torch.randint(len(kinds), (1,), generator=dice))]
    return replace(given, target=given.target.to(kind)), given


def classes_elsewhere(given: Called, dice: torch.Generator) -> tuple[Called, Called] | None:
    """Classes on another axis, in either layout of the memory."""
    axis = int(torch.randint(given.logits.dim(), (1,), generator=dice))
    logits = given.logits.movedim(1, axis)
    target = given.target if by_position(given) else given.target.movedim(1, axis)
    if bool(torch.randint(2, (1,), generator=dice)):
        logits, target = logits.contiguous(), target.contiguous()
    written = axis if bool(torch.randint(2, (1,), generator=dice)) else axis - logits.dim()
    moved = replace(given, call=given.call.having(class_dim=written), logits=logits, target=target)
    return moved, given


HAZARDS: tuple[Hazard, ...] = (
    anything_where_ignored,
    masked_class,
    common_offset,
    any_integer,
    classes_elsewhere,
)
