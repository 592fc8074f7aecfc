"""Logits whose classes are split over the processes of a group, a slice on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.columns import Columns, agreed, placed
from taylored.core.state.distributed import as_group, is_dtensor, summed


@dataclass(frozen=True, eq=False, repr=False)
class ShardedLogits:
    r"""Logits of which each process of a group has some classes, for a loss that never has all.

    A head with many classes is split over processes by its rows, and each has the logits of its own
    classes. A loss that is given `ShardedLogits` sends a few numbers per position instead of
    gathering the logits: forward takes one maximum over the group, and one sum of two numbers,
    :math:`\sum_{k \ne t} e^{z_k}` and :math:`z_t`. Every process then knows the loss, and the
    gradient of its own classes; backward sends nothing.

    Args:
        local: the logits of this process. It may have no classes at all. Or a `DTensor` that is
            sharded along the classes and replicated otherwise, which says everything else itself.
        group: the processes that share the classes, as a process group or a mesh of one dimension;
            None is all processes.
        start: the class of the first column of `local`; None where the processes have the classes
            in the order of their ranks in the group.
        classes: the number of classes in the whole group. Where it or `start` is left out, the
            processes tell each other in one small collective whenever a `ShardedLogits` is made.
        class_dim: the axis of the classes in `local`, that of the loss.

    Shape:
        local (N, c, d1, ...); the logits are (N, C, d1, ...). Every process has the same positions,
        and is given the same targets: class indices (N, d1, ...) out of all C, or probabilities,
        (N, C, d1, ...) or those of its own classes (N, c, d1, ...). Numbers per class, such as
        `weight` and counts, are those of all C classes on every process.

    Returns:
        An input for the softmax losses of the p_t family. Each process gets the same value, and
        calls backward with it. Losses that count gradients end in the state of one process, whole
        on each. Losses that need all logits at once refuse it and say so.

    Raises:
        ValueError: for shards that do not fit together; by the loss, inside `torch.compile`,
            `torch.func` and forward mode, for the sigmoid link, and where an option wants a
            gradient; and in backward for second derivatives.

    Example:
        >>> import torch
        >>> from taylored import FocalLoss, ShardedLogits
        >>> local = torch.tensor([[2.0, 0.0, -1.0]])  # one process, which has every class
        >>> FocalLoss()(ShardedLogits(local, start=0, classes=3), torch.tensor([0]))
        tensor(0.0041)

    The features in front of a split head are those of all processes, and so is their gradient: add
    up the parts, as `torch.distributed.tensor.parallel.ColwiseParallel` does.

    Differs from:
        torch: loss_parallel is cross-entropy of class indices only; it takes DTensors only.
        Megatron-LM: vocab_parallel_cross_entropy is cross-entropy only.
    """

    local: Tensor
    group: Any = None
    start: int | None = None
    classes: int | None = None
    class_dim: int = 1

    REMEDY: ClassVar[str] = "pass input.logits(), which gathers them"

    def __post_init__(self) -> None:
        local = self.local
        if not isinstance(local, Tensor) or not local.is_floating_point() or local.dim() < 2:
            got = f"shape {tuple(local.shape)}" if isinstance(local, Tensor) else type(local)
            fail("local", "floating-point logits (N, c, ...) of some classes", got,
                 "give an empty tensor (N, 0, ...) where a process has no class")  # fmt: skip
        axis = self.class_dim + local.dim() if self.class_dim < 0 else self.class_dim
        if not 0 < axis < local.dim():
            fail("class_dim", f"an axis after the first of shape {tuple(local.shape)}",
                 self.class_dim, "-1 is the last axis")  # fmt: skip
        found = {"class_dim": axis}
        if is_dtensor(local):
            found |= _of_dtensor(local, axis)
        else:
            found["group"] = as_group(self.group, "group")
        for name, value in found.items():
            object.__setattr__(self, name, value)
        _settle(self)

    @property
    def columns(self) -> Columns:
        """Which classes are here."""
        assert self.start is not None  # noqa: S101 - settled
        assert self.classes is not None  # noqa: S101
        return Columns(self.start, self.local.shape[self.class_dim], self.classes, self.group)

    @property
    def shape(self) -> torch.Size:
        """Shape of the logits of all classes, which are on axis 1."""
        sizes = list(self.local.shape)
        del sizes[self.class_dim]
        return torch.Size((sizes[0], self.columns.total, *sizes[1:]))

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the logits."""
        return self.local.dtype

    @property
    def device(self) -> torch.device:
        """Device of the logits of this process."""
        return self.local.device

    @property
    def requires_grad(self) -> bool:
        """Whether the logits of this process want a gradient."""
        return self.local.requires_grad

    def dim(self) -> int:
        """Number of axes of the logits."""
        return self.local.dim()

    def here(self) -> Tensor:
        """The logits of this process, with its classes on axis 1."""
        return self.local if self.class_dim == 1 else self.local.movedim(self.class_dim, 1)

    def outline(self) -> Tensor:
        """A tensor of the logits' shape and dtype that takes no memory."""
        return self.local.detach().new_empty(()).expand(self.shape)

    def logits(self) -> Tensor:
        """The logits of all classes, gathered on every process, with the classes on axis 1.

        Backward sends nothing: every process is expected to compute the same from them, and keeps
        the gradient of its own classes.
        """
        found: Tensor = _Gathered.apply(self.here(), self.columns)
        return found

    def true_logits(self, truth: Tensor) -> Tensor:
        """The logit of one class per position, (N, d1, ...), known to every process; a constant."""
        here, columns = self.here().detach(), self.columns
        inside, place = placed(truth.unsqueeze(1), columns)
        if not columns.count:
            return summed(here.new_zeros(truth.shape), columns.group)
        own = torch.where(inside, here.gather(1, place), 0.0).squeeze(1)
        return summed(own, columns.group)

    def __repr__(self) -> str:
        columns = self.columns
        some = f"classes {columns.start} to {columns.start + columns.count} of {columns.total}"
        return f"ShardedLogits(local {tuple(self.local.shape)}, {some})"


def unwrapped(input: Any, class_dim: int = 1) -> Any:
    """A DTensor whose classes are sharded as `ShardedLogits`; everything else as it is."""
    if not is_dtensor(input) or not 0 < class_dim < input.dim():
        return input
    sharded = any(placement.is_shard(class_dim) for placement in input.placements)
    return ShardedLogits(input, class_dim=class_dim) if sharded else input


def whole(target: Tensor) -> Tensor:
    """A target that every process has, as a plain tensor."""
    if not is_dtensor(target):
        return target
    if not all(placement.is_replicate() for placement in target.placements):  # type: ignore[attr-defined]
        fail("target", "known to every process that shares the classes",
             f"a DTensor with placements {target.placements}",  # type: ignore[attr-defined]
             "use target.full_tensor()")  # fmt: skip
    local: Tensor = target.to_local()  # type: ignore[attr-defined]
    return local


def _of_dtensor(local: Any, axis: int) -> dict[str, Any]:
    """What a DTensor says of itself."""
    from torch.distributed.tensor import Shard  # there is one: it is imported already

    placements = local.placements
    split = [place for place, each in enumerate(placements) if type(each) is Shard]
    others = [each for place, each in enumerate(placements) if place not in split]
    fits = len(split) == 1 and placements[split[0]].dim % local.dim() == axis
    if not fits or not all(each.is_replicate() for each in others):
        fail("local", f"a DTensor with one Shard({axis}), along the classes, and Replicate on every"
             " other axis of its mesh", f"placements {tuple(placements)}",
             "use ShardedLogits(logits.to_local(), mesh[...].get_group(), start)")  # fmt: skip
    mesh, classes = local.device_mesh, local.shape[axis]
    each = -(-classes // mesh.size(split[0]))
    return {
        "local": local.to_local(),
        "group": mesh.get_group(split[0]),
        "start": min(classes, each * mesh.get_local_rank(split[0])),
        "classes": classes,
    }


def _settle(logits: ShardedLogits) -> None:
    """Fill in what was left out, and refuse shards that do not fit together."""
    count, group = logits.local.shape[logits.class_dim], logits.group
    start, classes = logits.start, logits.classes
    if start is None or classes is None:
        start, classes = agreed(start, count, group, logits.device)
        if logits.classes not in (None, classes):
            fail("classes", f"{classes}, as many as the processes have together", logits.classes,
                 "leave it out")  # fmt: skip
    if not 0 <= start <= classes - count:
        fail("start", f"the first of {count} classes out of {classes}", start,
             "count the classes of the processes before, in 0..classes - count")  # fmt: skip
    object.__setattr__(logits, "start", start)
    object.__setattr__(logits, "classes", classes)


class _Gathered(torch.autograd.Function):
    """(logits of this process, which these are) -> the logits of all classes."""

    @staticmethod
    def forward(ctx: Any, here: Tensor, columns: Columns) -> Tensor:
        ctx.columns = columns
        shape = (here.shape[0], columns.total, *here.shape[2:])
        everything = here.new_zeros(shape)  # a sum takes shards of any length
        columns.of(everything, 1).copy_(here)
        return summed(everything, columns.group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        (gradient,) = gradients
        return None if gradient is None else ctx.columns.of(gradient, 1), None
