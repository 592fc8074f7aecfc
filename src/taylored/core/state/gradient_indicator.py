"""The positive and negative gradients of every class, summed over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from taylored.core.context import has_numbers, values_are_known
from taylored.core.numerics import one_if_zero, tensor_of
from taylored.core.state.buffers import counted, held
from taylored.core.state.counting import Counting
from taylored.core.state.distributed import summed, world_size

Scale = Literal["sum", "mean"]


@dataclass(frozen=True, eq=False)
class GradientSums:
    """Absolute logit gradients of one batch, summed per class; before any division by a mean.

    Attributes:
        positive: of the class where it is the truth (soft targets: times its mass).
        negative: of the class where it is not.
        denominator: what the batch's loss was divided by, or None if by nothing.
    """

    positive: Tensor
    negative: Tensor
    denominator: Tensor | None

    @classmethod
    def undivided(cls, sums: Tensor, denominator: Tensor | float | None) -> GradientSums:
        """Those of the (2, C) sums of a loss that was divided by something, or by nothing."""
        if denominator is None:
            return cls(sums[0], sums[1], None)
        amount = torch.as_tensor(denominator, device=sums.device).to(sums).reshape(())
        whole = sums * one_if_zero(amount)
        return cls(whole[0], whole[1], amount)


class GradientIndicator(Counting):
    r"""Accumulated positive and negative gradient per class, and their ratio.

    A class whose ratio :math:`g_j = G^{+}_j / (G^{-}_j + 10^{-10})` is near 1 is in balance, as
    head classes are; near 0 it is pushed down by the other classes' samples, as tail classes are.
    The equalization losses hold one and update it in every training forward; `GradientRatio` puts
    one beside any loss, to look at.

    A loss reads its weights for a step from the state first, and then adds the gradients of the
    batch to it. It does so only in training mode, with gradients enabled, and while not frozen.
    Every training forward counts, as a batch of its own unless `accumulate` says otherwise. A
    forward that backward runs again, as activation checkpointing does, is refused. A batch whose
    gradients are not finite is left out.

    With several processes, one collective per forward adds up the sums of all ranks of the process
    group. They then hold the state that one process would reach on the concatenated batch. Every
    rank of the group has to call the loss, with an empty batch if need be.

    Args:
        num_classes: C >= 1.
        initial: ratio reported before the first update; raising it above 1 makes no difference to
            losses that clamp.
        decay: factor on the old sums at each update, in (0, 1]; lowering it forgets faster. 1, as
            published, never forgets.
        scale: "sum" adds plain sums over samples, as Sigmoid-EQL does; "mean" divides each update
            by the batch's denominator, so that batches and not samples weigh alike.
        process_group: the ranks whose batches are parts of one; None is all of them.

    Shape:
        `positive`, `negative` and `ratio()` are (C,), in float64 whatever the module is moved to:
        float32 would stop growing. (On devices without float64 they are float32.) They are in the
        state dict, with `steps` and the open group of micro-batches.

    Raises:
        ValueError: for a parameter out of its domain, or sums of another number of classes.

    Example:
        >>> import torch
        >>> from taylored import SoftmaxEQLLoss
        >>> loss = SoftmaxEQLLoss(num_classes=3)
        >>> logits = torch.zeros(4, 3, requires_grad=True)
        >>> loss(logits, torch.tensor([0, 0, 0, 1])).backward()
        >>> loss.indicator.ratio()
        tensor([6.0000, 0.6667, 0.0000], dtype=torch.float64)

    Reference:
        Tan et al., The Equalization Losses, arXiv 2210.05566, the gradient statistics g_j.
    """

    positive: Tensor
    negative: Tensor
    steps: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        initial: float = 1.0,
        decay: float = 1.0,
        scale: Scale = "sum",
        process_group: Any = None,
    ) -> None:
        super().__init__(
            num_classes, decay=decay, process_group=process_group, amounts=2 * num_classes + 1
        )
        self.initial = initial
        self.scale = scale
        device = torch.get_default_device()
        zeros = torch.zeros(num_classes, dtype=torch.float64, device=device)
        self.register_buffer("positive", zeros)
        self.register_buffer("negative", zeros.clone())
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=device))

    def ratio(self) -> Tensor:
        """G+ / (G- + 1e-10) per class, unclamped; `initial` before the first update."""
        guarded = held(self.negative) + 1e-10  # the official code's guard
        ratio = held(self.positive) / guarded
        return torch.where(held(self.steps) == 0, torch.full_like(ratio, self.initial), ratio)

    def received(self) -> Tensor:
        """G+ per class."""
        return held(self.positive)

    @torch.no_grad()
    def update(self, sums: GradientSums) -> None:
        """Add a batch. The losses call this; call it yourself only with sums of your own."""
        self.refuse_inside_transforms()
        self.check_classes(sums.positive.shape[0])
        self.add(counted(self._over_all_ranks(sums)))

    def count(self, sums: Tensor, denominator: Tensor | float | None) -> None:
        """Add a batch, given the (2, C) sums of the loss after its division by the denominator.

        The same as `update`. One process that counts every forward as a batch of its own, on the
        CPU, needs none of the steps that others take, and a small batch feels each of them.
        """
        if not self._alone(sums, denominator):
            self.update(GradientSums.undivided(sums, denominator))
            return
        self.check_classes(sums.shape[1])
        factor = 1.0 if self.scale == "mean" or denominator is None else float(denominator) or 1.0
        if not math.isfinite(float(sums.sum()) * factor):
            return  # as in `_step`
        for buffer, part in zip((self.positive, self.negative), sums.unbind(), strict=True):
            if self.decay != 1.0:
                buffer.mul_(self.decay)
            buffer.add_(part, alpha=factor)
        self.steps.add_(1)

    def _alone(self, sums: Tensor, denominator: Tensor | float | None) -> bool:
        """Whether nobody else takes part in a batch, and its numbers are there to be looked at."""
        here = sums.is_cpu and self.positive.is_cpu and has_numbers(sums)
        if isinstance(denominator, Tensor):
            here = here and denominator.is_cpu and has_numbers(denominator)
        return (
            here
            and self.group.size == 1
            and values_are_known()
            and world_size(self.process_group) == 1
        )

    def _over_all_ranks(self, sums: GradientSums) -> Tensor:
        """Both sums and the denominator (0 for none), added up over the ranks in one collective."""
        like, given = self.positive, sums.denominator
        denominator = like.new_zeros(1) if given is None else given.to(like).reshape(1)
        parts = [sums.positive.to(like), sums.negative.to(like), denominator]
        return summed(torch.cat(parts), self.process_group)

    def _step(self, batch: Tensor, complete: Tensor | None) -> None:
        """Count a batch: the sums and the denominator. One that is not complete changes nothing."""
        count = self.positive.shape[0]
        both, denominator = batch[:-1], batch[-1]
        if self.scale == "mean":
            both = both / one_if_zero(denominator)
        # An overflow in half precision must not stay in the state for good. Such a batch is left
        # out, just as the gradient scaler of mixed precision skips its step.
        sound = both.sum().isfinite()
        if complete is not None:
            sound = sound & complete
        for buffer, part in ((self.positive, both[:count]), (self.negative, both[count:])):
            buffer.copy_(torch.where(sound, self.decay * buffer + part, buffer))
        self.steps.add_(sound)

    def load(self, positive: Tensor | Sequence[float], negative: Tensor | Sequence[float]) -> None:
        """Put known sums in place, for example those of an earlier training."""
        for buffer, values in ((self.positive, positive), (self.negative, negative)):
            buffer.copy_(tensor_of(values, buffer.dtype))
        self.steps.fill_(1)

    def extra_repr(self) -> str:
        """Number of classes and settings."""
        return f"{self.positive.shape[0]}, decay={self.decay:g}, scale={self.scale!r}"
