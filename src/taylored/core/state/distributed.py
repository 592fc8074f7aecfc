"""Sums over the processes that share a state, and the process group that says which they are."""

from __future__ import annotations

import sys
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from taylored.core.checks import fail

ProcessGroup: Any = getattr(dist, "ProcessGroup", object)
"""The type of a process group; torch may be built without any."""


class _Forgotten:
    """Stands for a process group after a pickle, which cannot carry it."""

    def __reduce__(self) -> str:
        return "FORGOTTEN"

    def __repr__(self) -> str:
        return "<a process group that was not pickled>"


FORGOTTEN = _Forgotten()


class _Carried:
    """A process group on its way into a copy, which shares it, or into a pickle, which cannot."""

    def __init__(self, group: object) -> None:
        self.group = group

    def __deepcopy__(self, memo: object) -> _Carried:
        return self

    def __reduce__(self) -> tuple[type[_Carried], tuple[object]]:
        return _Carried, (FORGOTTEN,)


class Shared(nn.Module):
    """A module that may have a `process_group`, which copies share and pickles forget."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if state.get("process_group") is not None:
            state["process_group"] = _Carried(state["process_group"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        carried = state.get("process_group")
        if isinstance(carried, _Carried):
            state = {**state, "process_group": carried.group}
        super().__setstate__(state)  # type: ignore[no-untyped-call]


def as_group(given: Any, name: str = "process_group") -> Any:
    """The process group that a caller means: one, a mesh of one dimension, or None for all."""
    if given is None or given is FORGOTTEN or not dist.is_available():
        return given
    if isinstance(given, ProcessGroup) or given == dist.GroupMember.NON_GROUP_MEMBER:
        return given
    mesh = getattr(dist, "DeviceMesh", None)
    if mesh is not None and isinstance(given, mesh) and given.ndim == 1:
        return given.get_group()
    expected = "a torch.distributed process group, a mesh of one dimension, or None"
    fail(name, expected, repr(given), 'use mesh["data"], or dist.new_group(ranks)')


def world_size(group: Any, name: str = "process_group") -> int:
    """Number of processes of a group, by default of all; 1 without torch.distributed."""
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    if group is FORGOTTEN:
        fix = "assign it: loss.process_group = group, or None for all processes"
        fail(name, "given again to a loss that was unpickled", repr(group), fix)
    size = dist.get_world_size(group)
    if size < 1:
        fix = "call the loss where the group has been made for, or give every rank a group"
        fail(name, "a group to which the calling process belongs", "another", fix)
    return size


def summed(values: Tensor, group: Any) -> Tensor:
    """The sum over all processes of a group, the same on each; a group of one sends nothing.

    May write into `values`.
    """
    if world_size(group) > 1:
        dist.all_reduce(values, group=group)
    return values


def largest(values: Tensor, group: Any) -> Tensor:
    """The largest over all processes of a group, the same on each; may write into `values`.

    NaN may get lost on the way: a sum that follows has to bring it.
    """
    if world_size(group) > 1:
        dist.all_reduce(values, dist.ReduceOp.MAX, group=group)
    return values


def ranks_of(group: Any) -> tuple[int, ...]:
    """The processes of a group, in its order; one process alone is number 0."""
    if world_size(group) == 1 and not (dist.is_available() and dist.is_initialized()):
        return (0,)
    return tuple(dist.get_process_group_ranks(group))


def this_rank() -> int:
    """The number of this process among all."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_dtensor(values: object) -> bool:
    """Whether it is a DTensor, without an import that nobody needs who has none."""
    known = sys.modules.get("torch.distributed.tensor")
    return known is not None and isinstance(values, known.DTensor)
