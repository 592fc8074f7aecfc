"""Cosine embedding: pairs of vectors that point the same way, or do not."""

from __future__ import annotations

import functools
from typing import Annotated, ClassVar, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.checks import check_floats, fail
from taylored.core.inputs.signs import check_signs, signs_of
from taylored.modules.base import Takes
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.values import ValueCall, ValueLoss, check_alike, value_loss

__all__ = ["CosineEmbeddingLoss", "cosine_embedding_loss"]


def cosine_embedding_values(input: Tensor, other: Tensor, target: Tensor, margin: float) -> Tensor:
    """1 - cos where t = 1, max(0, cos - margin) where t = -1, by torch; target is (..., 1)."""
    one, two = (each.reshape(-1, each.shape[-1]) for each in (input, other))
    values = F.cosine_embedding_loss(one, two, target.reshape(-1), margin=margin, reduction="none")
    return values.reshape(input.shape[:-1])


def told(input: Tensor, other: Tensor, target: Tensor) -> Tensor:
    """The target of pairs of vectors, with an axis in the place of their numbers."""
    check_floats(input=input, other=other)
    check_alike(input=input, other=other)
    if input.dim() == 0:
        fail("input", "vectors, shape (..., D)", "a single number", "add an axis")
    return signs_of(target, input, tuple(input.shape[:-1])).unsqueeze(-1)


def check_together(_input: Tensor, _other: Tensor, target: Tensor) -> None:
    """Refuse what says neither that a pair belongs together nor that it does not."""
    check_signs(target)


class CosineEmbeddingLoss(ValueLoss):
    r"""Cosine embedding: :math:`1 - \cos` where :math:`t = 1`, else :math:`\max(0, \cos - \mu)`.

    `loss(input, other, target)`: t is 1 for vectors that belong together, -1 for others. The values
    are those of `torch.nn.CosineEmbeddingLoss`, computed in float32 at least; vectors shorter than
    1e-6 have a smaller cosine than theirs there, and one of zeros has cosine 0. To find the pairs
    in a batch of classes, use `ContrastiveLoss` or `MultiSimilarityLoss`.

    Example:
        >>> import torch
        >>> one = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> two = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
        >>> CosineEmbeddingLoss()(one, two, torch.tensor([1, -1]))
        tensor(1.)
    """

    takes: ClassVar[Takes] = "vector_pairs"
    inner: ClassVar[int] = 1
    shapes: ClassVar[str] = (
        "input and other (..., D), vectors pair by pair; target (...), -1 or 1, one per pair."
    )
    margin: Annotated[
        float,
        About(
            "cosine up to which vectors that do not belong together cost nothing; raising it lets "
            "them be more alike",
            within="[-1, 1]",
            search=(0.0, 0.5),
        ),
    ] = 0.0

    def forward(  # type: ignore[override]
        self,
        input: Tensor,
        other: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of pairs of vectors against whether they belong together."""
        return value_loss(
            functools.partial(cosine_embedding_values, margin=self.margin),
            input,
            other,
            told(input, other, target),
            domain=check_together,
            inner=1,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )


@function_of(CosineEmbeddingLoss)
def cosine_embedding_loss(
    input: Tensor,
    other: Tensor,
    target: Tensor,
    *,
    margin: float = 0.0,
    **shared: Unpack[ValueCall],
) -> Tensor:
    r"""Cosine embedding: :math:`1 - \cos` where :math:`t = 1`, else :math:`\max(0, \cos - \mu)`.

    Example:
        >>> import torch
        >>> one = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> two = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
        >>> cosine_embedding_loss(one, two, torch.tensor([1, 1]), reduction="none")
        tensor([1., 0.])
    """
    given = told(input, other, target)
    values = functools.partial(cosine_embedding_values, margin=margin)
    return value_loss(values, input, other, given, domain=check_together, inner=1, **shared)


SPEC = spec_of(
    "cosine_embedding",
    CosineEmbeddingLoss,
    cosine_embedding_loss,
    summary="pairs of vectors: the same direction where they belong together, else another",
    formula=r"1 - \cos\ (t = 1),\ \max(0, \cos - \mu)\ (t = -1)",
    value_range="[0, 2]",
    reference=Reference(
        "Bromley, Guyon, LeCun, Sackinger, Shah",
        "Signature Verification Using a Siamese Time Delay Neural Network",
        "NeurIPS 1993",
        "cosine of two embeddings; this form is torch's",
    ),
    differs={
        "torch": "CosineEmbeddingLoss: equal, for (N, D) and (D,) alone; a target of 0 costs "
        "nothing there",
    },
    examples=("cosine_embedding()", "cosine_embedding(margin=0.2)"),
)
