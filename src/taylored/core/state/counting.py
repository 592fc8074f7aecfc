"""The base of what counts training batches per class: when, over which processes, how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from taylored.core.checks import check_num_classes, fail, in_range
from taylored.core.state.buffers import keep_known, keep_wide, where_there_is_float64
from taylored.core.state.distributed import Shared, as_group, world_size
from taylored.core.state.micro_batches import MicroBatches
from taylored.core.state.side_effects import refuse_inside_transforms, refuse_side_effects

_ALLOWED = ("frozen or in eval mode", "call loss.indicator.freeze() before")


class Counting(Shared):
    """Sums per class over the batches of a training, in buffers that keep all their digits.

    A subclass registers its buffers and fills `_step`; `amounts` is how many numbers a batch is.
    """

    def __init__(self, num_classes: int, *, decay: float, process_group: Any, amounts: int) -> None:
        super().__init__()
        check_num_classes(num_classes)
        in_range("decay", decay, 0.0, 1.0, "1 never forgets", interval="(]")
        self.num_classes = num_classes
        self.decay = decay
        self.frozen = False
        self.process_group = as_group(process_group)
        self.group = MicroBatches(amounts)

    def _step(self, batch: Tensor, complete: Tensor | None) -> None:
        """Count a batch, given its amounts. One that is not complete changes nothing."""
        raise NotImplementedError

    def collecting(self) -> bool:
        """Whether the next forward is to be counted."""
        return self.training and not self.frozen and torch.is_grad_enabled()

    def refuse_side_effects(self) -> None:
        """Refuse to count where no state can follow, before any work is done."""
        refuse_side_effects(*_ALLOWED)
        world_size(self.process_group)  # which refuses a group that this process is not in

    def refuse_inside_transforms(self) -> None:
        """Refuse to count where nothing may be written to."""
        refuse_inside_transforms(*_ALLOWED)

    def check_classes(self, found: int) -> None:
        """Refuse sums of another number of classes."""
        if found != self.num_classes:
            fail(
                "input",
                f"{self.num_classes} classes on axis 1, as num_classes says",
                f"{found}",
                "give the loss the model's number of classes",
            )

    def add(self, batch: Tensor) -> None:
        """Count the amounts of a forward, as a batch or as a part of one."""
        complete = None
        if self.group.size > 1:
            batch, _, complete = self.group.add(batch)
        self._step(batch, complete)

    @torch.no_grad()
    def accumulate(self, micro_batches: int) -> None:
        """Let so many forwards together be one batch; an open group is closed as it is."""
        left = self.group.resize(micro_batches)
        if left is not None:
            self._step(left, None)

    def freeze(self) -> None:
        """Keep the state as it is, in training mode too."""
        self.frozen = True

    def unfreeze(self) -> None:
        """Update again."""
        self.frozen = False

    def reset(self) -> None:
        """Forget everything."""
        for buffer in self._buffers.values():
            if buffer is not None:
                buffer.zero_()
        self.group.reset()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        super()._apply(where_there_is_float64(fn), recurse)  # type: ignore[no-untyped-call]
        keep_known(self, before)
        keep_wide(self, before)
        return self
