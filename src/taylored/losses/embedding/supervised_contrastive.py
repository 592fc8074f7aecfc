"""Supervised contrastive loss: a softmax over the other samples of the batch."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.embeddings.pairs import Pairs, log_sum_exp, mean_of
from taylored.modules.embeddings import EmbeddingCall, EmbeddingLoss, OfAnchors, embedding_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of

__all__ = ["SupervisedContrastiveLoss", "supervised_contrastive_loss"]


def supervised_contrastive_anchors(pairs: Pairs, temperature: float) -> OfAnchors:
    """Per anchor, the mean over positives of -log softmax (Khosla et al. 2020, equation 2)."""
    logits = pairs.cosine / temperature
    total = log_sum_exp(logits, pairs.same | pairs.other).unsqueeze(1)
    total = torch.where(torch.isneginf(total), 0.0, total)  # alone in the batch
    return OfAnchors(mean_of(total - logits, pairs.same), pairs.same.any(dim=1))


class SupervisedContrastiveLoss(EmbeddingLoss):
    r"""Supervised contrastive loss: cross-entropy of a softmax over the batch.

    Every sample is pulled to all others of its class, and pushed from the rest in proportion to how
    near they are. An anchor alone of its class counts for nothing. Two views of each image are two
    samples: concatenate them.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> SupervisedContrastiveLoss()(vectors, torch.tensor([0, 0, 1, 1]))
        tensor(0.3472)
    """

    temperature: Annotated[
        float,
        About(
            "divides the cosines; lowering it lets the nearest samples of other classes decide",
            within="(0, inf)",
            search=(0.03, 0.5, "log"),
        ),
    ] = 0.1

    def anchors(self, pairs: Pairs) -> OfAnchors:
        """One value per sample."""
        return supervised_contrastive_anchors(pairs, temperature=self.temperature)


@function_of(SupervisedContrastiveLoss)
def supervised_contrastive_loss(
    input: Tensor,
    target: Tensor,
    *,
    temperature: float = 0.1,
    **shared: Unpack[EmbeddingCall],
) -> Tensor:
    r"""Supervised contrastive loss: cross-entropy of a softmax over the batch.

    Example:
        >>> import torch
        >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0]])
        >>> supervised_contrastive_loss(vectors, torch.tensor([0, 0, 1, 1]), reduction="none")
        tensor([0.0008, 0.6936, 0.6936, 0.0008])
    """
    return embedding_loss(
        functools.partial(supervised_contrastive_anchors, temperature=temperature),
        input,
        target,
        **shared,
    )


SPEC = spec_of(
    "supervised_contrastive",
    SupervisedContrastiveLoss,
    supervised_contrastive_loss,
    summary="a softmax over the batch in which the samples of one class are the truth",
    formula=r"-\frac{1}{|P|} \sum_{p \in P} "
    r"\log \frac{e^{\cos_{ap} / \tau}}{\sum_{k \ne a} e^{\cos_{ak} / \tau}}",
    value_range="[0, inf)",
    reference=Reference(
        "Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan",
        "Supervised Contrastive Learning",
        "NeurIPS 2020",
        "equation 2 (L_out)",
    ),
    differs={
        "pytorch-metric-learning": "SupConLoss(temperature): equal, with its AvgNonZeroReducer "
        "leaving out anchors whose loss is 0",
        "HobbitLong/SupContrast": "multiplies by temperature / base_temperature, 1 by default",
    },
    examples=("supervised_contrastive()", "supervised_contrastive(temperature=0.5)"),
)
