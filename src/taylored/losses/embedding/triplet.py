"""Triplet loss with the negatives mined in the batch."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.embeddings.pairs import Pairs, mean_of
from taylored.modules.embeddings import EmbeddingCall, EmbeddingLoss, OfAnchors, embedding_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["TripletLoss", "triplet_loss"]

Mining = Literal["hardest", "semihard"]


def triplet_anchors(pairs: Pairs, margin: float, mining: Mining) -> OfAnchors:
    """Per anchor, the shortfall of the margin (Schroff et al. 2015, equation 2)."""
    square = pairs.squared_distance
    none = pairs.cosine.new_tensor(float("inf"))
    farthest = torch.where(pairs.same, square, -none).amax(dim=1)
    nearest = torch.where(pairs.other, square, none).amin(dim=1)
    counted = pairs.same.any(dim=1) & pairs.other.any(dim=1)
    if mining == "hardest":
        return OfAnchors(_shortfall(farthest - nearest, margin, counted), counted)
    # For each positive, the nearest of the negatives that are farther; else the farthest negative.
    gap = square.unsqueeze(1) - square.unsqueeze(2)  # anchor, positive, negative
    beyond = pairs.other.unsqueeze(1) & (gap > 0)
    semi = torch.where(beyond, gap, none).amin(dim=2)
    last = torch.where(pairs.other, square, -none).amax(dim=1, keepdim=True) - square
    chosen = torch.where(beyond.any(dim=2), semi, last)
    meant = pairs.same & counted.unsqueeze(1)
    return OfAnchors(mean_of(_shortfall(-chosen, margin, meant), meant), counted)


def _shortfall(excess: Tensor, margin: float, where: Tensor) -> Tensor:
    """max(0, excess + margin), where there is such a triplet."""
    return F.relu(torch.where(where, excess, -margin) + margin)


class TripletLoss(EmbeddingLoss):
    r"""Triplet loss, :math:`\max(0, d_{ap}^2 - d_{an}^2 + m)`, mined in the batch.

    Embeddings are compared by direction. An anchor without a positive or a negative in the batch
    counts
    for nothing: sample batches of P classes with K samples each.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> TripletLoss(margin=0.5)(vectors, torch.tensor([0, 0, 1, 1]))
        tensor(0.2500)
    """

    margin: Annotated[
        float,
        About(
            "by how much the negative has to be farther, in squared distance of directions, which"
            " lies in [0, 4]; raising it keeps easier triplets in play",
            within="[0, inf)",
            search=(0.05, 1.0, "log"),
        ),
    ] = 0.2
    mining: Annotated[
        Mining,
        About(
            'which triplets count: of every anchor the "hardest", its farthest positive with its '
            "nearest negative; or for every positive the nearest negative that is farther than it, "
            '"semihard", which is calmer early in a training',
        ),
    ] = "hardest"

    def anchors(self, pairs: Pairs) -> OfAnchors:
        """One value per sample."""
        return triplet_anchors(pairs, margin=self.margin, mining=self.mining)


@function_of(TripletLoss)
def triplet_loss(
    input: Tensor,
    target: Tensor,
    *,
    margin: float = 0.2,
    mining: Mining = "hardest",
    **shared: Unpack[EmbeddingCall],
) -> Tensor:
    r"""Triplet loss, :math:`\max(0, d_{ap}^2 - d_{an}^2 + m)`, mined in the batch.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> triplet_loss(vectors, torch.tensor([0, 0, 1, 1]), margin=0.5, reduction="none")
        tensor([0.0000, 0.5000, 0.5000, 0.0000])
    """
    return embedding_loss(
        functools.partial(triplet_anchors, margin=margin, mining=mining), input, target, **shared
    )


SPEC = spec_of(
    "triplet",
    TripletLoss,
    triplet_loss,
    summary="the nearest of another class has to be farther than the farthest of its own",
    formula=r"\max(0, d_{ap}^2 - d_{an}^2 + m)",
    value_range="[0, inf)",
    reference=Reference(
        "Schroff, Kalenichenko, Philbin",
        "FaceNet: A Unified Embedding for Face Recognition and Clustering",
        "CVPR 2015",
        "equation 2; hardest: Hermans, Beyer, Leibe, arXiv 1703.07737, equation 5",
    ),
    differs={
        "torch": "TripletMarginLoss takes triplets that somebody has mined, and distances that "
        "are not squared",
        "pytorch-metric-learning": "TripletMarginLoss with a miner: distances of unit vectors, "
        "not squared, by default",
    },
    examples=("triplet()", "triplet(margin=1.0)", 'triplet(mining="semihard", margin=0.5)'),
)
