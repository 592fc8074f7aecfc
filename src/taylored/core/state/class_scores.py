"""How well the samples of every class are known: a running mean of a score, per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from taylored.core.numerics import tensor_of
from taylored.core.state.buffers import counted, held
from taylored.core.state.counting import Counting
from taylored.core.state.distributed import summed


class ClassScores(Counting):
    r"""The mean score of the samples of each class, over the batches of a training.

    A score is a number for each sample, such as the probability of its class or whether it was
    classified right. Losses that follow the difficulty of the classes hold one: they read their
    weights or margins from it, and then add the scores of the batch. When a forward counts,
    micro-batches and processes are as for `GradientIndicator`.

    Args:
        num_classes: C >= 1.
        initial: mean reported for a class without samples so far.
        decay: factor on the old sums of a class at each batch in which it occurs, in (0, 1];
            lowering it forgets faster. 1 never forgets.
        process_group: the ranks whose batches are parts of one; None is all of them.

    Shape:
        `total`, `number` and `mean()` are (C,), in float64 whatever the module is moved to. They
        are in the state dict, with the open group of micro-batches.

    Raises:
        ValueError: for a parameter out of its domain, or sums of another number of classes.

    Example:
        >>> import torch
        >>> from taylored import DifficultyBalancedLoss
        >>> loss = DifficultyBalancedLoss(num_classes=3)
        >>> logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]], requires_grad=True)
        >>> loss(logits, torch.tensor([0, 1])).backward()
        >>> loss.indicator.mean()
        tensor([1., 0., 0.], dtype=torch.float64)
    """

    total: Tensor
    number: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        initial: float = 0.0,
        decay: float = 1.0,
        process_group: Any = None,
    ) -> None:
        super().__init__(
            num_classes, decay=decay, process_group=process_group, amounts=2 * num_classes
        )
        self.initial = initial
        zeros = torch.zeros(num_classes, dtype=torch.float64, device=torch.get_default_device())
        self.register_buffer("total", zeros)
        self.register_buffer("number", zeros.clone())

    def mean(self) -> Tensor:
        """The mean score of each class; `initial` where it has had no samples."""
        number = held(self.number)
        seen = number > 0
        mean = held(self.total) / torch.where(seen, number, 1.0)
        return torch.where(seen, mean, self.initial)

    @torch.no_grad()
    def update(self, total: Tensor, number: Tensor) -> None:
        """Add a batch: the sum of the scores of each class, and how many samples it had."""
        self.refuse_inside_transforms()
        self.check_classes(total.shape[0])
        both = torch.cat([total.to(self.total), number.to(self.number)])
        self.add(counted(summed(both, self.process_group)))

    def _step(self, batch: Tensor, complete: Tensor | None) -> None:
        """Count a batch. One that is not complete, or holds no numbers, changes nothing."""
        total, number = batch.chunk(2)
        # A class that does not occur keeps what is known of it.
        sound = (number > 0) & total.sum().isfinite()
        if complete is not None:
            sound = sound & complete
        for buffer, part in ((self.total, total), (self.number, number)):
            buffer.copy_(torch.where(sound, self.decay * buffer + part, buffer))

    def load(self, total: Tensor | Sequence[float], number: Tensor | Sequence[float]) -> None:
        """Put known sums in place, for example those of an earlier training."""
        for buffer, values in ((self.total, total), (self.number, number)):
            buffer.copy_(tensor_of(values, buffer.dtype))

    def extra_repr(self) -> str:
        """Number of classes and settings."""
        return f"{self.num_classes}, decay={self.decay:g}"
