"""Circle loss: every similarity is pushed as far as it still has to go."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.embeddings.pairs import Pairs, log_sum_exp
from taylored.modules.embeddings import EmbeddingCall, EmbeddingLoss, OfAnchors, embedding_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["CircleLoss", "circle_loss"]


def circle_anchors(pairs: Pairs, margin: float, scale: float) -> OfAnchors:
    """Per anchor, with the weights of pairs held constant (Sun et al. 2020, equation 6)."""
    cosine = pairs.cosine
    ahead = F.relu(1.0 + margin - cosine.detach())
    behind = F.relu(cosine.detach() + margin)
    positive = log_sum_exp(-scale * ahead * (cosine - 1.0 + margin), pairs.same)
    negative = log_sum_exp(scale * behind * (cosine - margin), pairs.other)
    counted = pairs.same.any(dim=1) & pairs.other.any(dim=1)
    both = torch.where(counted, positive, 0.0) + torch.where(counted, negative, 0.0)
    return OfAnchors(F.softplus(both), counted)


class CircleLoss(EmbeddingLoss):
    r"""Circle loss: two soft maxima, of what positives and negatives still have to go.

    The weights of the pairs are how far each still has to go, held constant in the gradient.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> CircleLoss(scale=16.0)(vectors, torch.tensor([0, 0, 1, 1]))
        tensor(4.2336)
    """

    margin: Annotated[
        float,
        About(
            "relaxation: positives are asked for a cosine of 1 - margin, negatives for margin; "
            "raising "
            "it asks for less",
            within="[0, 1]",
            search=(0.1, 0.5),
        ),
    ] = 0.25
    scale: Annotated[
        float,
        About(
            "multiplies the similarities; raising it looks at the hardest pairs alone",
            within="(0, inf)",
            search=(32.0, 512.0, "log"),
        ),
    ] = 256.0

    def anchors(self, pairs: Pairs) -> OfAnchors:
        """One value per sample."""
        return circle_anchors(pairs, margin=self.margin, scale=self.scale)


@function_of(CircleLoss)
def circle_loss(
    input: Tensor,
    target: Tensor,
    *,
    margin: float = 0.25,
    scale: float = 256.0,
    **shared: Unpack[EmbeddingCall],
) -> Tensor:
    r"""Circle loss: two soft maxima, of what positives and negatives still have to go.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> circle_loss(vectors, torch.tensor([0, 0, 1, 1]), scale=16.0, reduction="none")
        tensor([1.0938, 7.3735, 7.3735, 1.0938])
    """
    return embedding_loss(
        functools.partial(circle_anchors, margin=margin, scale=scale), input, target, **shared
    )


SPEC = spec_of(
    "circle",
    CircleLoss,
    circle_loss,
    summary="pairs weigh as much as each still has to go, on a circle of the two similarities",
    formula=r"\log(1 + \sum_N e^{\gamma \alpha_n (\cos - m)} "
    r"\sum_P e^{-\gamma \alpha_p (\cos - 1 + m)})",
    value_range="[0, inf)",
    reference=Reference(
        "Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei",
        "Circle Loss: A Unified Perspective of Pair Similarity Optimization",
        "CVPR 2020",
        "equations 6 and 8",
    ),
    differs={
        "pytorch-metric-learning": "CircleLoss(m=0.4, gamma=80): the same formula with other "
        "defaults",
    },
    examples=("circle(scale=16)", "circle(margin=0.4, scale=8)"),
)
