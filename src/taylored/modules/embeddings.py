"""The base of embedding losses: a batch of vectors with the classes that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple, TypedDict

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail
from taylored.core.embeddings.pairs import Pairs
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Reduction, check_reduction
from taylored.core.plan.reduced import read_positions_weight, reduced
from taylored.modules.base import Loss, Takes
from taylored.modules.docs import RAISES, Described
from taylored.modules.fields.parameter import About
from taylored.modules.vocabulary import IgnoreIndex

EmbeddingReduction = Annotated[
    Reduction,
    About(
        '"mean" divides by the number of anchors that have what the loss compares, "batch_mean" by '
        "the number of samples",
        shared=True,
    ),
]


class EmbeddingCall(TypedDict, total=False):
    """The shared keywords of a call of such a loss's function."""

    ignore_index: int | None
    reduction: Reduction
    sample_weight: Tensor | None
    normalizer: float | Tensor | None


class OfAnchors(NamedTuple):
    """What a loss says about every sample as an anchor.

    Attributes:
        values: one per sample, (N,).
        counted: whether it has what the loss compares, such as another sample of its class.
    """

    values: Tensor
    counted: Tensor


def embedding_loss(
    values: Callable[[Pairs], OfAnchors],
    input: Tensor,
    target: Tensor,
    *,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    """The loss of a batch of embeddings, from what it says about every anchor."""
    check_reduction(reduction, normalizer)
    check_floats(input=input)
    if input.dim() != 2:
        fail("input", "embeddings, shape (N, D)", f"shape {tuple(input.shape)}",
             "use embeddings.flatten(1), or give one view at a time")  # fmt: skip
    if not isinstance(target, Tensor) or target.is_floating_point():
        fail("target", "the class of every embedding, whole numbers of shape (N,)",
             str(getattr(target, "dtype", type(target).__name__)), "use target.long()")  # fmt: skip
    if target.shape != input.shape[:1]:
        fail("target", f"one class per embedding, shape {tuple(input.shape[:1])}",
             f"shape {tuple(target.shape)}", "use target.reshape(-1)")  # fmt: skip
    weight = None
    if sample_weight is not None:
        weight = read_positions_weight(sample_weight, input.shape[:1]).to(input.device)
    # Small differences of long sums: half precision and autocast would lose them.
    with torch.autocast(input.device.type, enabled=False):
        wide = input.to(computing_dtype(input))
        if len(wide) == 0:  # there is no extreme of nothing
            return reduced(wide.sum(dim=1), reduction, weight, normalizer)
        found = values(Pairs.of(wide, target, ignore_index))
    return reduced(found.values, reduction, weight, normalizer, found.counted)


class EmbeddingLoss(Loss):
    """A loss of embeddings, which are compared by direction; a subclass fills `anchors`.

    `sample_weight` weighs anchors; a sample of weight 0 is still there for the others to be
    compared with, an ignored one is not.
    """

    takes: ClassVar[Takes] = "embeddings"
    ignore_index: IgnoreIndex = -100
    reduction: EmbeddingReduction = "mean"

    @classmethod
    def described(cls) -> Described:
        """The same for all."""
        return Described(
            "input (N, D) embeddings of any length, of which the direction counts; target (N,) "
            "their classes. The call also takes `sample_weight`, one number per sample (in the "
            'numerator only), and `normalizer`, which replaces the denominator of "mean".',
            'A scalar, or with reduction="none" one value per sample; float32 for half precision. '
            "0 where no sample has what the loss compares.",
            RAISES,
        )

    @classmethod
    def target_kinds(cls) -> tuple[str, ...]:
        """Classes."""
        return ("index",)

    @classmethod
    def mean_divides_by(cls, targets: tuple[str, ...]) -> str:
        """Only anchors that say something."""
        return "anchors that have what the loss compares"

    def anchors(self, pairs: Pairs) -> OfAnchors:
        """One value per sample; the slot of a subclass."""
        raise NotImplementedError

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of embeddings of some classes."""
        return embedding_loss(
            self.anchors,
            input,
            target,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )
