"""Micro-batches of one optimizer step, added up until they are the batch that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.state.buffers import held, keep_known


@runtime_checkable
class Accumulating(Protocol):
    """Whatever counts batches, or holds something that does."""

    def accumulate(self, micro_batches: int) -> None:
        """Say how many forwards are one batch."""
        ...


def check_micro_batches(micro_batches: object) -> None:
    """Refuse anything but a whole number of forwards, at least one."""
    whole = isinstance(micro_batches, int) and not isinstance(micro_batches, bool)
    if not whole or micro_batches < 1:  # type: ignore[operator]
        fix = "give the number of backward calls per optimizer step"
        fail("micro_batches", "a whole number >= 1", repr(micro_batches), fix)


class Gathering(nn.Module):
    """The base of losses, which may count batches, and hand on to their parts what one batch is."""

    def accumulate(self, micro_batches: int) -> None:
        """Say how many forwards are one batch: those between two steps of the optimizer.

        A loss that counts its batches then counts the micro-batches of a step as the one batch that
        they are: after the last its state is that of one forward of them all, and until then the
        weights that it reads from the state stay. Denominators are added up, a `normalizer` too:
        give that of the micro-batch. An incomplete group, as at the end of an epoch, stays open:
        call this again, after the last step of the optimizer, to close it as it is. The open group
        is in the state dict, its size is not: say it before loading. Wrappers pass it on; a loss
        without such a state is left as it is.

        Example:
            >>> import torch
            >>> from taylored import SigmoidEQLLoss
            >>> logits, target = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
            >>> loss, whole = SigmoidEQLLoss(num_classes=2), SigmoidEQLLoss(num_classes=2)
            >>> loss.accumulate(2)
            >>> for part in range(0, 4, 2):
            ...     (loss(logits[part:part + 2], target[part:part + 2]) / 2).backward()
            >>> _ = whole(logits, target)
            >>> torch.equal(loss.indicator.ratio(), whole.indicator.ratio())
            True
        """
        check_micro_batches(micro_batches)
        self.gather(micro_batches)
        for inner in self.children():
            if isinstance(inner, Accumulating):
                inner.accumulate(micro_batches)

    def gather(self, micro_batches: int) -> None:
        """Count so many forwards as one batch, where the loss itself counts batches."""


class MicroBatches(nn.Module):
    """The sums of an open group of forwards.

    Attributes:
        size: forwards in a group.
        sums: of the forwards of the open group.
        forwards: how many those are.
    """

    sums: Tensor
    forwards: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.size = 1
        device = torch.get_default_device()
        self.register_buffer("sums", torch.zeros(length, dtype=torch.float64, device=device))
        self.register_buffer("forwards", torch.zeros((), dtype=torch.int64, device=device))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MicroBatches:
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        keep_known(self, before)
        return self

    def add(self, amounts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sums of the group with these, how many forwards it has, and whether it is complete.

        A complete group is closed: the next forward opens another one.
        """
        total, forwards = held(self.sums) + amounts, held(self.forwards) + 1
        complete = forwards >= self.size
        self.sums.copy_(torch.where(complete, 0.0, total))
        self.forwards.copy_(torch.where(complete, 0, forwards))
        return total, forwards, complete

    def resize(self, micro_batches: int) -> Tensor | None:
        """Close the group, and let the next ones have another size; its sums, if it had any."""
        check_micro_batches(micro_batches)
        self.size = micro_batches
        if self.forwards.is_meta or not int(self.forwards):
            return None
        total = self.sums.clone()
        self.reset()
        return total

    def reset(self) -> None:
        """Forget the open group."""
        self.sums.zero_()
        self.forwards.zero_()
