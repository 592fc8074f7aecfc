"""Calls as they come in practice, each beside a tame call that must give the same numbers.

The tame call has finite logits around zero and the classes on axis 1. A hazard changes the wild one
into another that means the same: other values where nothing counts, another integer dtype, another
layout. Where the tame call has to change with it, both do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kit.cases import IGNORED, Case, build
from references import Call
from taylored import catalog

JUNK = (math.nan, math.inf, -math.inf, 3e38)

FAR = -3e4
"""As good as -inf: a class this far below the others has no probability in any dtype."""

OFFSET = 1e8
"""Around it float32 numbers are 8 apart."""


@dataclass(frozen=True, eq=False)
class Called:
    """A loss with what it is given."""

    call: Call
    logits: Tensor
    target: Tensor

    @property
    def by_position(self) -> bool:
        """Whether the target is one class index per position."""
        return self.target.dim() == self.logits.dim() - 1


@dataclass(frozen=True, eq=False)
class Pair:
    """Two calls of one meaning.

    Attributes:
        wild, tame: the calls.
        untouched: entries whose gradient has to be exactly 0, with the classes on axis 1.
    """

    wild: Called
    tame: Called
    untouched: Tensor

    @classmethod
    def of(cls, case: Case, dtype: torch.dtype) -> Pair:
        """The case twice."""
        called = Called(case.call, case.logits(dtype), case.targets())
        return cls(called, called, torch.zeros(case.shape, dtype=torch.bool))


Hazard = Callable[[Pair, torch.Generator], Pair]


def chance(dice: torch.Generator, outcomes: int = 2) -> int:
    return int(torch.randint(outcomes, (1,), generator=dice))


def common_offset(pair: Pair, dice: torch.Generator) -> Pair:
    """A softmax loss sees differences alone."""
    call, logits = pair.wild.call, pair.wild.logits
    if call.link() != "softmax" or logits.dtype != torch.float32:
        return pair
    if sees_offset(call, logits, pair.wild.target):
        return pair
    steps = (8.0 * torch.randint(-3, 4, logits.shape, generator=dice)).to(logits)
    return replace(
        pair,
        wild=replace(pair.wild, logits=steps + OFFSET),
        tame=replace(pair.tame, logits=steps),
    )


def masked_class(pair: Pair, dice: torch.Generator) -> Pair:
    """A class at -inf that is nobody's truth costs nothing."""
    if smoothing_of(pair.wild.call) != 0.0:
        return pair
    classes = pair.wild.logits.shape[1]
    masked, target = chance(dice, classes), pair.wild.target.clone()
    if pair.wild.by_position:
        target = torch.where(target == masked, (masked + 1) % classes, target)
    else:
        target[:, masked] = 0
        if pair.wild.call.link() == "softmax":
            target = target / target.sum(dim=1, keepdim=True)
    here = torch.zeros_like(pair.untouched)
    here[:, masked] = True
    tame = replace(pair.tame, target=target, logits=pair.tame.logits.masked_fill(here, FAR))
    if pulled(tame)[here].any():
        return pair  # a far class costs something: its logit has no limit
    logits = pair.wild.logits.masked_fill(here, -math.inf)
    return Pair(replace(pair.wild, target=target, logits=logits), tame, pair.untouched | here)


def sees_offset(call: Call, logits: Tensor, target: Tensor) -> bool:
    """Whether the loss changes with a common offset of the logits, as with factors per class."""
    moved, still = (_values(call, z, target) for z in (logits.double() + 3.0, logits.double()))
    return not torch.allclose(moved, still, rtol=1e-9, equal_nan=True)


def pulled(called: Called) -> Tensor:
    """The gradient of the loss."""
    logits = called.logits.double().requires_grad_()
    (gradient,) = torch.autograd.grad(_values(called.call, logits, called.target).sum(), logits)
    return gradient


def _values(call: Call, logits: Tensor, target: Tensor) -> Tensor:
    torch.manual_seed(0)  # for losses that draw
    return build(call)(logits, target)


def smoothing_of(call: Call) -> float:
    """How much mass every class is given."""
    fields = {p.name: p.default for p in catalog.SPECS[call.innermost().name].accepted}
    return float(call.option("label_smoothing", fields.get("label_smoothing", 0.0)))


def anything_where_ignored(pair: Pair, dice: torch.Generator) -> Pair:
    """Ignored positions, or elements, may hold anything."""
    wild = pair.wild
    if wild.call.option("ignore_index", IGNORED) != IGNORED:
        return pair
    ignored = wild.target == IGNORED
    if wild.by_position:
        ignored = ignored.unsqueeze(1).expand(wild.logits.shape)
    picks = torch.randint(len(JUNK), wild.logits.shape, generator=dice)
    junk = torch.tensor(JUNK, dtype=wild.logits.dtype)[picks]
    logits = torch.where(ignored, junk, wild.logits)
    return Pair(replace(wild, logits=logits), pair.tame, pair.untouched | ignored)


def any_integer(pair: Pair, dice: torch.Generator) -> Pair:
    """Class indices, and 0 and 1, of any integer dtype."""
    target = pair.wild.target
    if target.is_floating_point():
        return pair
    kinds = [torch.int8, torch.int16, torch.int32, torch.int64]
    if int(target.min()) >= 0:
        kinds += [torch.uint8, torch.uint16, torch.uint32, torch.uint64]
    target = target.to(kinds[chance(dice, len(kinds))])
    return replace(pair, wild=replace(pair.wild, target=target))


def classes_elsewhere(pair: Pair, dice: torch.Generator) -> Pair:
    """Classes on another axis, in either layout of the memory."""
    wild = pair.wild
    axis = chance(dice, wild.logits.dim())
    logits = wild.logits.movedim(1, axis)
    target = wild.target if wild.by_position else wild.target.movedim(1, axis)
    if chance(dice):
        logits, target = logits.contiguous(), target.contiguous()
    call = wild.call.having(class_dim=axis if chance(dice) else axis - logits.dim())
    return replace(pair, wild=Called(call, logits, target))


HAZARDS: tuple[Hazard, ...] = (
    common_offset,
    masked_class,
    anything_where_ignored,
    any_integer,
    classes_elsewhere,
)
"""In an order in which each leaves what the ones before it have done."""


def some_of(pair: Pair, dice: torch.Generator) -> Pair:
    """The pair after some of the hazards; every one of them half of the time."""
    for hazard in HAZARDS:
        if chance(dice):
            pair = hazard(pair, dice)
    return pair
