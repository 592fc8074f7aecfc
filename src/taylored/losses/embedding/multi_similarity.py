"""Multi-similarity loss: near negatives and far positives weigh most."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch.nn.functional as F
from torch import Tensor

from taylored.core.embeddings.pairs import Pairs, log_sum_exp
from taylored.modules.embeddings import EmbeddingCall, EmbeddingLoss, OfAnchors, embedding_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["MultiSimilarityLoss", "multi_similarity_loss"]


def multi_similarity_anchors(pairs: Pairs, alpha: float, beta: float, base: float) -> OfAnchors:
    """Per anchor (Wang et al. 2019, equation 15)."""
    far = log_sum_exp(-alpha * (pairs.cosine - base), pairs.same)
    near = log_sum_exp(beta * (pairs.cosine - base), pairs.other)
    values = F.softplus(far) / alpha + F.softplus(near) / beta
    return OfAnchors(values, pairs.same.any(dim=1) | pairs.other.any(dim=1))


class MultiSimilarityLoss(EmbeddingLoss):
    r"""Multi-similarity loss, two soft maxima: of far positives and of near negatives.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> MultiSimilarityLoss()(vectors, torch.tensor([0, 0, 1, 1]))
        tensor(0.3572)
    """

    alpha: Annotated[
        float,
        About(
            "sharpness for positives; raising it looks at the farthest alone",
            within="(0, inf)",
            search=(0.5, 10.0, "log"),
        ),
    ] = 2.0
    beta: Annotated[
        float,
        About(
            "sharpness for negatives; raising it looks at the nearest alone",
            within="(0, inf)",
            search=(10.0, 100.0, "log"),
        ),
    ] = 50.0
    base: Annotated[
        float,
        About(
            "cosine between near and far; raising it asks positives to be nearer",
            within="[-1, 1]",
            search=(0.0, 1.0),
        ),
    ] = 0.5

    def anchors(self, pairs: Pairs) -> OfAnchors:
        """One value per sample."""
        return multi_similarity_anchors(pairs, alpha=self.alpha, beta=self.beta, base=self.base)


@function_of(MultiSimilarityLoss)
def multi_similarity_loss(
    input: Tensor,
    target: Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    **shared: Unpack[EmbeddingCall],
) -> Tensor:
    r"""Multi-similarity loss, two soft maxima: of far positives and of near negatives.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> multi_similarity_loss(vectors, torch.tensor([0, 0, 1, 1]), reduction="none")
        tensor([0.2537, 0.4608, 0.4608, 0.2537])
    """
    return embedding_loss(
        functools.partial(multi_similarity_anchors, alpha=alpha, beta=beta, base=base),
        input,
        target,
        **shared,
    )


SPEC = spec_of(
    "multi_similarity",
    MultiSimilarityLoss,
    multi_similarity_loss,
    summary="far positives and near negatives of an anchor weigh most, by two soft maxima",
    formula=r"\tfrac1\alpha \log(1 + \sum_P e^{-\alpha (\cos - \lambda)}) "
    r"+ \tfrac1\beta \log(1 + \sum_N e^{\beta (\cos - \lambda)})",
    value_range="[0, inf)",
    reference=Reference(
        "Wang, Han, Huang, Dong, Scott",
        "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
        "CVPR 2019",
        "equation 15, without the mining of pairs",
    ),
    differs={
        "pytorch-metric-learning": "MultiSimilarityLoss(alpha, beta, base): equal, without its "
        "miner",
    },
    examples=("multi_similarity()", "multi_similarity(alpha=1, beta=10, base=0.2)"),
)
