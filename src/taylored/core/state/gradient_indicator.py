"""The positive and negative gradients of every class, summed over training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from taylored.core.checks import check_num_classes, fail, in_range
from taylored.core.numerics import one_if_zero
from taylored.core.state.buffers import held, keep_wide
from taylored.core.state.distributed import summed, world_size
from taylored.core.state.side_effects import refuse_inside_transforms

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


class GradientIndicator(nn.Module):
    r"""Accumulated positive and negative gradient per class, and their ratio.

    A class whose ratio :math:`g_j = G^{+}_j / (G^{-}_j + 10^{-10})` is near 1 is in balance, as
    head classes are; near 0 it is pushed down by the other classes' samples, as tail classes are.
    The equalization losses hold one and update it in every training forward; `GradientRatio` puts
    one beside any loss, to look at.

    A loss reads its weights for a step from the state first, and then adds the gradients of the
    batch to it. It does so only in training mode, with gradients enabled, and while not frozen.
    Every training forward counts: with gradient accumulation each micro-batch adds its sums, and
    the next one sees them. Keep the loss outside of activation checkpointing, which runs forwards
    twice. A batch whose gradients are not finite is left out.

    With several processes, one collective per forward adds up the sums of all ranks. All ranks then
    hold the state that one process would reach on the concatenated batch. Every rank has to call
    the loss, with an empty batch if need be.

    Args:
        num_classes: C >= 1.
        initial: ratio reported before the first update; raising it above 1 makes no difference to
            losses that clamp.
        decay: factor on the old sums at each update, in (0, 1]; lowering it forgets faster. 1, as
            published, never forgets.
        scale: "sum" adds plain sums over samples, as Sigmoid-EQL does; "mean" divides each update
            by the batch's denominator, so that batches and not samples weigh alike.

    Shape:
        `positive`, `negative` and `ratio()` are (C,). The buffers are float32, or float64 where
        that is the default dtype or after `.double()`; `.half()` leaves them alone. They are in
        the state dict, with `steps`.

    Raises:
        ValueError: for a parameter out of its domain, or sums of another number of classes.

    Example:
        >>> import torch
        >>> from taylored import SoftmaxEQLLoss
        >>> loss = SoftmaxEQLLoss(num_classes=3)
        >>> logits = torch.zeros(4, 3, requires_grad=True)
        >>> loss(logits, torch.tensor([0, 0, 0, 1])).backward()
        >>> loss.indicator.ratio()
        tensor([6.0000, 0.6667, 0.0000])

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
    ) -> None:
        super().__init__()
        check_num_classes(num_classes)
        in_range("decay", decay, 0.0, 1.0, "1 never forgets", interval="(]")
        self.initial = initial
        self.decay = decay
        self.scale = scale
        self.frozen = False
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        self.register_buffer("positive", torch.zeros(num_classes, dtype=dtype))
        self.register_buffer("negative", torch.zeros(num_classes, dtype=dtype))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def ratio(self) -> Tensor:
        """G+ / (G- + 1e-10) per class, unclamped; `initial` before the first update."""
        guarded = held(self.negative) + 1e-10  # the official code's guard
        ratio = held(self.positive) / guarded
        return torch.where(held(self.steps) == 0, torch.full_like(ratio, self.initial), ratio)

    def received(self) -> Tensor:
        """G+ per class."""
        return held(self.positive)

    def collecting(self) -> bool:
        """Whether the next forward is to be counted."""
        return self.training and not self.frozen and torch.is_grad_enabled()

    def refuse_transforms(self) -> None:
        """Refuse to count inside torch.func, before any work is done."""
        refuse_inside_transforms("frozen or in eval mode", "call loss.indicator.freeze() before")

    @torch.no_grad()
    def update(self, sums: GradientSums) -> None:
        """Add a batch. The losses call this; call it yourself only with sums of your own."""
        self.refuse_transforms()
        if sums.positive.shape != self.positive.shape:
            fail(
                "input",
                f"{self.positive.shape[0]} classes on axis 1, as num_classes says",
                f"{sums.positive.shape[0]}",
                "give the loss the model's number of classes",
            )
        positive, negative, denominator = self._over_all_ranks(sums)
        if denominator is not None and self.scale == "mean":
            share = one_if_zero(denominator)
            positive, negative = positive / share, negative / share
        # An overflow in half precision must not stay in the state for good. Such a batch is left
        # out, just as the gradient scaler of mixed precision skips its step.
        sound = (positive.sum() + negative.sum()).isfinite()
        for buffer, batch in ((self.positive, positive), (self.negative, negative)):
            buffer.copy_(torch.where(sound, self.decay * buffer + batch, buffer))
        self.steps.add_(sound)

    def _over_all_ranks(self, sums: GradientSums) -> tuple[Tensor, Tensor, Tensor | None]:
        """Both sums and the denominator, added up over the ranks in one collective."""
        like = self.positive
        parts = [sums.positive.to(like), sums.negative.to(like)]
        if world_size() == 1:
            return parts[0], parts[1], sums.denominator
        if sums.denominator is not None:
            parts.append(sums.denominator.to(like).reshape(1))
        together = summed(torch.cat(parts))
        count = like.shape[0]
        denominator = together[2 * count] if sums.denominator is not None else None
        return together[:count], together[count : 2 * count], denominator

    def reset(self) -> None:
        """Forget everything."""
        self.positive.zero_()
        self.negative.zero_()
        self.steps.zero_()

    def freeze(self) -> None:
        """Keep the state as it is, in training mode too."""
        self.frozen = True

    def unfreeze(self) -> None:
        """Update again."""
        self.frozen = False

    def load(self, positive: Tensor | Sequence[float], negative: Tensor | Sequence[float]) -> None:
        """Put known sums in place, for example those of an earlier training."""
        for buffer, values in ((self.positive, positive), (self.negative, negative)):
            buffer.copy_(torch.as_tensor(values, dtype=buffer.dtype))
        self.steps.fill_(1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GradientIndicator:
        before = {"positive": self.positive, "negative": self.negative}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        keep_wide(self, before)
        return self

    def extra_repr(self) -> str:
        """Number of classes and settings."""
        return f"{self.positive.shape[0]}, decay={self.decay:g}, scale={self.scale!r}"
