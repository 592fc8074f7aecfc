"""Contrastive loss: pairs of one class together, all others a margin apart."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.embeddings.pairs import Pairs, mean_of
from taylored.modules.embeddings import EmbeddingCall, EmbeddingLoss, OfAnchors, embedding_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["ContrastiveLoss", "contrastive_loss"]


def contrastive_anchors(pairs: Pairs, margin: float) -> OfAnchors:
    """Per anchor, the means over both kinds of pairs (Hadsell et al. 2006, equation 4)."""
    together = mean_of(pairs.squared_distance, pairs.same)
    apart = mean_of(F.relu(margin - pairs.distance) ** 2, pairs.other)
    return OfAnchors(together + apart, pairs.same.any(dim=1) | pairs.other.any(dim=1))


class ContrastiveLoss(EmbeddingLoss):
    r"""Contrastive loss, :math:`d^2` within a class, :math:`\max(0, m - d)^2` between classes.

    Positives and negatives of an anchor are averaged apart, so that the many negatives of a batch
    do not
    drown its few positives.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> ContrastiveLoss()(vectors, torch.tensor([0, 0, 1, 1]))
        tensor(0.5995)
    """

    margin: Annotated[
        float,
        About(
            "distance from which on two classes are apart enough; distances of directions lie in "
            "[0, 2]",
            within="[0, inf)",
            search=(0.2, 1.6),
        ),
    ] = 1.0

    def anchors(self, pairs: Pairs) -> OfAnchors:
        """One value per sample."""
        return contrastive_anchors(pairs, margin=self.margin)


@function_of(ContrastiveLoss)
def contrastive_loss(
    input: Tensor,
    target: Tensor,
    *,
    margin: float = 1.0,
    **shared: Unpack[EmbeddingCall],
) -> Tensor:
    r"""Contrastive loss, :math:`d^2` within a class, :math:`\max(0, m - d)^2` between classes.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> contrastive_loss(vectors, torch.tensor([0, 0, 1, 1]), reduction="none")
        tensor([0.5858, 0.6133, 0.6133, 0.5858])
    """
    return embedding_loss(
        functools.partial(contrastive_anchors, margin=margin), input, target, **shared
    )


SPEC = spec_of(
    "contrastive",
    ContrastiveLoss,
    contrastive_loss,
    summary="pairs of one class together, all others a margin apart",
    formula=r"d^2 \text{ or } \max(0, m - d)^2",
    value_range="[0, inf)",
    reference=Reference(
        "Hadsell, Chopra, LeCun",
        "Dimensionality Reduction by Learning an Invariant Mapping",
        "CVPR 2006",
        "equation 4, without its factor 1/2",
    ),
    differs={
        "pytorch-metric-learning": "ContrastiveLoss: distances, not their squares, and a mean "
        "over the pairs whose loss is not 0",
    },
    examples=("contrastive()", "contrastive(margin=1.5)"),
)
