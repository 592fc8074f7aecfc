"""Logits of a linear head, given as features and weight so that they need not exist at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import fail, in_range
from taylored.core.numerics import softcapped
from taylored.core.state.distributed import is_dtensor

LEAST_MEMORY = 1 << 16
"""Bytes of the smallest tile of logits that is worth its calls."""


@dataclass(frozen=True, eq=False)
class LinearLogits:
    r"""The logits :math:`z = x W^\top + b` of a linear head, for a loss to form piece by piece.

    With many classes the logits are the largest tensor of a training step: for 4 096 tokens and
    32 000 words they take 524 MB in float32. Their gradient takes as much again, and so do the
    results between them. A loss that is given `LinearLogits` instead of logits forms a few rows at
    a time. Its forward finds the loss and the gradients on features, weight and bias from them, and
    keeps nothing but these gradients.

    Args:
        features: the input of the head. The classes become axis 1, as everywhere.
        weight: the head's weight, `torch.nn.Linear.weight`. For a cosine head, pass its normalised
            features and weight.
        bias: the head's bias, or None.
        softcap: c > 0 where the logits are c tanh(z / c), as in some language models; raising
            it bends them less, None not at all.
        sample: the share of the classes without a sample in the batch that a call draws, in
            (0, 1], to estimate the loss by these and the true classes; raising it comes nearer to
            the loss of all, None is that. Softmax losses of p_t, of class indices.
        generator: of the draws; None is torch's own.
        memory: bytes that the logits which exist at one time may take, 65536 or more; raising it is
            faster until it holds some hundred positions. None chooses: 4 MiB, and more where 512
            positions need it, up to 128 MiB. Where fewer than 64 positions fit, the classes are
            taken a few at a time, too. Losses of soft targets, with label smoothing or with values
            of their own need all classes of a position at once. Their float16 logits take three
            times as much, because the gradient has a place of its own in float32.

    Shape:
        features (N, d1, ..., D), weight (C, D), bias (C,); the logits are (N, C, d1, ...): tokens
        (B, T, D) give (B, C, T), with targets (B, T).

    Returns:
        An input for every loss that judges a position by its own logits: with weights,
        `ignore_index`, label smoothing and priors, and for the losses that count gradients. Losses
        that need the logits of the whole batch refuse it and say so. With the sigmoid link there is
        no reduction="none", because that has as many values as there are logits.

    Raises:
        ValueError: for shapes or dtypes that do not fit.

    Example:
        >>> import torch
        >>> from taylored import LinearLogits, PolyLoss
        >>> head = torch.nn.Linear(8, 1000)
        >>> features, target = torch.randn(2, 5, 8), torch.randint(1000, (2, 5))
        >>> input = LinearLogits(features, head.weight, head.bias)
        >>> input
        LinearLogits(features (2, 5, 8), weight (1000, 8), bias)
        >>> loss = PolyLoss(epsilon=2.0)
        >>> torch.allclose(loss(input, target), loss(input.logits(), target))
        True

    Call the loss outside of `torch.compile`. All logits are formed at once in compiled or exported
    code, inside `torch.func`, in forward mode, for second derivatives, and where a per-class option
    wants a gradient. Under autocast the logits have the dtype that `torch.nn.functional.linear`
    would give them. For half-precision features the gradient of the weight is added up in float32,
    and float16 gradients are multiplied in float32.

    Classes are drawn anew at every call, evenly and without replacement, and minus the logarithm of
    their chance is added to their logits: the sum of the softmax is right on average. Where a loss
    is to be reported, leave `sample` out.

    Differs from:
        insightface: PartialFC leaves the logits of the drawn classes as they are, and so estimates
            the softmax over fewer classes than there are.
        torch: linear_cross_entropy is cross-entropy only; with chunking options it cannot be
            differentiated twice.
    """

    features: Tensor
    weight: Tensor
    bias: Tensor | None = None
    softcap: float | None = None
    sample: float | None = None
    generator: torch.Generator | None = None
    memory: int | None = None

    REMEDY: ClassVar[str] = "pass input.logits()"

    def __post_init__(self) -> None:
        for name, value in (("features", self.features), ("weight", self.weight)):
            if not isinstance(value, Tensor) or not value.is_floating_point():
                got = value.dtype if isinstance(value, Tensor) else type(value).__name__
                fail(name, "a floating-point tensor", got, "pass LinearLogits(x, head.weight)")
        _check_whole(self.weight, self.bias)
        if self.features.dim() < 2:
            fail(
                "features",
                "of shape (N, ..., D)",
                f"shape {tuple(self.features.shape)}",
                "add the batch axis: features.unsqueeze(0)",
            )
        width = self.features.shape[-1]
        if self.weight.dim() != 2 or self.weight.shape[1] != width:
            fail(
                "weight",
                f"of shape (C, {width}) for features of shape {tuple(self.features.shape)}",
                f"shape {tuple(self.weight.shape)}",
                "pass the weight of torch.nn.Linear(D, C) as it is",
            )
        if self.bias is not None and self.bias.shape != self.weight.shape[:1]:
            fail(
                "bias",
                f"one number per class, shape ({self.weight.shape[0]},), or None",
                f"shape {tuple(self.bias.shape)}",
                "pass the bias of the head",
            )
        if self.softcap is not None:
            fix = "30 is usual; None is no cap"
            in_range("softcap", self.softcap, 0.0, float("inf"), fix, interval="()")
        if self.sample is not None:
            fix = "0.1 draws a tenth of the classes; None takes all"
            in_range("sample", self.sample, 0.0, 1.0, fix, interval="(]")
        if self.memory is not None:
            self._check_memory(self.memory)

    def _check_memory(self, memory: int) -> None:
        least = min(LEAST_MEMORY, len(self.weight) * self.features.itemsize)
        if isinstance(memory, bool) or not isinstance(memory, int) or memory < least:
            fail("memory", f"whole bytes, {least} or more", repr(memory),
                 "2**24 is 16 MiB; None chooses")  # fmt: skip

    @property
    def shape(self) -> torch.Size:
        """Shape of the logits, (N, C, d1, ...)."""
        return torch.Size((self.features.shape[0], len(self.weight), *self.features.shape[1:-1]))

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the logits that `torch.nn.functional.linear` would return here."""
        kind = self.device.type
        kinds = {tensor.dtype for tensor in self.tensors()}
        # Autocast leaves float64 alone.
        if torch.is_autocast_enabled(kind) and torch.float64 not in kinds:
            return torch.get_autocast_dtype(kind)
        if len(kinds) > 1:
            fail(
                "weight",
                f"of the features' dtype, {self.features.dtype}, and so the bias",
                ", ".join(str(tensor.dtype) for tensor in self.tensors()[1:]),
                "run the loss inside of autocast, or convert one of them",
            )
        return self.features.dtype

    @property
    def device(self) -> torch.device:
        """Device of the logits."""
        return self.features.device

    @property
    def requires_grad(self) -> bool:
        """Whether features, weight or bias want a gradient."""
        return any(tensor.requires_grad for tensor in self.tensors())

    def dim(self) -> int:
        """Number of axes of the logits."""
        return self.features.dim()

    def tensors(self) -> tuple[Tensor, ...]:
        """Features, weight and, if there is one, bias."""
        return (self.features, self.weight, *(() if self.bias is None else (self.bias,)))

    def logits(self) -> Tensor:
        """All logits at once, for predictions on small batches."""
        return formed(self.features, self.weight, self.bias, self.dtype, self.softcap)

    def outline(self) -> Tensor:
        """A tensor of the logits' shape and dtype that takes no memory."""
        return self.features.new_empty((), dtype=self.dtype).expand(self.shape)

    def __repr__(self) -> str:
        features, weight = tuple(self.features.shape), tuple(self.weight.shape)
        bias = "" if self.bias is None else ", bias"
        cap = "" if self.softcap is None else f", softcap={self.softcap:g}"
        share = "" if self.sample is None else f", sample={self.sample:g}"
        room = "" if self.memory is None else f", memory={self.memory}"
        return f"LinearLogits(features {features}, weight {weight}{bias}{cap}{share}{room})"


def _check_whole(weight: Tensor, bias: Tensor | None) -> None:
    """Refuse a weight that is spread over processes: read outside of its module, it is a part."""
    part = None
    if is_dtensor(weight) or is_dtensor(bias):
        part = "a DTensor, which FSDP2 and tensor parallelism split over processes"
    elif weight.numel() == 0 and weight.dim() != 2:
        part = f"an empty one, shape {tuple(weight.shape)}, which is what ZeRO-3 leaves of it"
    if part is not None:
        fix = (
            "let the head find the loss, where it has the weight: head = taylored.LinearHead(D, C,"
        )
        fix += " loss), or LinearHead.of(linear, loss), and head(features, target). A head whose"
        fix += " classes are split for good: taylored.ShardedLogits(head(features), class_dim=-1)"
        fail("weight", "the whole weight of the head, (C, D)", part, fix)


def formed(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
    softcap: float | None,
) -> Tensor:
    """The logits with classes on axis 1, computed in a dtype."""
    with torch.autocast(features.device.type, enabled=False):
        z = F.linear(features.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype))
    return (z if softcap is None else softcapped(z, softcap)).movedim(-1, 1)
