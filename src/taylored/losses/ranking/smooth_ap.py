"""Smooth-AP: average precision with sigmoids in the place of the steps in its ranks."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.losses.ranking.columns import Columns, RankingLoss, ranking_loss
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall

__all__ = ["SmoothAPLoss", "smooth_ap_loss"]


def smooth_ap_values(at: Columns, temperature: float) -> Tensor:
    """1 - AP with the ranks 1 + sum sigmoid((z_j - z_i) / tau) (Brown et al. 2020, equation 7)."""
    ahead = torch.sigmoid((at.z.unsqueeze(1) - at.z.unsqueeze(2)) / temperature)
    alone = torch.eye(at.z.shape[1], dtype=torch.bool, device=at.z.device)
    ahead = torch.where(alone, 1.0, ahead)  # a sample has a place of its own, whoever is ahead
    among_yes = (ahead * torch.where(at.yes, at.weight, 0.0).unsqueeze(1)).sum(2)
    among_all = (ahead * at.weight.unsqueeze(1)).sum(2)
    return 1.0 - at.mean(among_yes / one_if_zero(among_all), at.yes).squeeze(1)


class SmoothAPLoss(RankingLoss):
    r"""Smooth-AP, :math:`1 - \frac{1}{P} \sum_{i \in +} R_+(i) / R(i)`, with smooth ranks R.

    Average precision is the mean over the samples of a class of how many of those ahead are of the
    class as well. With a sigmoid for "is ahead" it can be trained on. It is what multi-label and
    retrieval models are judged by; like the metric it looks at the top of the order. Every pair of
    the batch is compared, in memory for C M^2 numbers, for the gradient too: 1 000 samples of 20
    classes take 80 MB each time. A class without samples on both sides does not count; truths above
    0.5 are yes.

    Shape:
        As for `BinaryCrossEntropyLoss`; every class is a problem of its own.

    Example:
        >>> import torch
        >>> logits, truth = torch.tensor([2.0, 0.0, -1.0]), torch.tensor([0, 1, 0])
        >>> SmoothAPLoss(temperature=0.01)(logits, truth), SmoothAPLoss()(logits, truth)
        (tensor(0.5000), tensor(0.5348))

    Inference: the outputs order; choose a threshold on validation data.
    """

    temperature: Annotated[
        float,
        About(
            "tau, the difference of logits at which a sample is ahead; lowering it comes closer to "
            "the metric, and leaves pairs that lie further apart without a gradient",
            within="(0, inf)",
            fix="1 suits logits; 0.01 was published for cosines",
            search=(0.1, 2.0, "log"),
        ),
    ] = 1.0

    def of_classes(self, columns: Columns) -> Tensor:
        """One loss per class."""
        return smooth_ap_values(columns, self.temperature)


@function_of(SmoothAPLoss)
def smooth_ap_loss(
    input: Logits, target: Tensor, *, temperature: float = 1.0, **shared: Unpack[BackgroundCall]
) -> Tensor:
    r"""Smooth-AP, :math:`1 - \frac{1}{P} \sum_{i \in +} R_+(i) / R(i)`, with smooth ranks R.

    Example:
        >>> import torch
        >>> smooth_ap_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]))
        tensor(0.3333)
    """
    values = functools.partial(smooth_ap_values, temperature=temperature)
    return ranking_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "smooth_ap",
    SmoothAPLoss,
    smooth_ap_loss,
    summary="average precision with smooth ranks, as a loss (Smooth-AP)",
    formula=r"1 - \frac{1}{P} \sum_{i \in +} \frac{1 + \sum_{j \in +, j \ne i} \sigma(d_{ij})}"
    r"{1 + \sum_{j \ne i} \sigma(d_{ij})},\quad d_{ij} = (z_j - z_i) / \tau",
    reference=Reference(
        "Brown, Xie, Kalogeiton, Zisserman",
        "Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval",
        "ECCV 2020",
        "equation 7",
    ),
    differs={
        "Andrew-Brown1/Smooth_AP": "SmoothAP(anneal) takes embeddings, compares all with all by "
        "cosine, and clamps exponents at 50; equal for the same scores",
    },
    value_range="[0, 1]",
    denominator="classes with samples on both sides",
    examples=("smooth_ap()", "smooth_ap(temperature=0.3)"),
    call="batch",
)
