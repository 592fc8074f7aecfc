"""Partial AUC: the samples of a class above the hardest of the others."""

from __future__ import annotations

import functools
from typing import Annotated, Unpack

import torch
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.logistic import sigmoid
from taylored.core.numerics import widest_dtype
from taylored.core.plan.options import Options
from taylored.losses.ranking.columns import Columns, Margin, RankingLoss, ranking_loss
from taylored.losses.reductions.hardest import hardest
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall

__all__ = ["PartialAUCLoss", "partial_auc_loss"]


def partial_auc_values(at: Columns, max_fpr: float, margin: float) -> Tensor:
    """The mean over pairs of max(0, m - h_i + h_j)^2, j among the hardest share of the others."""
    wide = widest_dtype(at.z.device)
    scores, weight = sigmoid(at.z.to(wide)), at.weight.to(wide)
    hard = torch.stack(
        [hardest(s, no, max_fpr) for s, no in zip(scores.unbind(0), at.no.unbind(0), strict=True)]
    )
    costs = squared_hinges(scores, torch.where(hard, weight, 0.0), margin)
    return Columns(at.z, at.yes, at.no, weight).mean(costs, at.yes).squeeze(1)


def squared_hinges(scores: Tensor, weight: Tensor, margin: float) -> Tensor:
    """The weighted mean over j of max(0, m - h_i + h_j)^2 for every i, row by row.

    The j with h_j > h_i - m are the first of the sorted ones, and a sum of (a + h_j)^2 over them is
    a^2, 2 a and 1 times their sums of powers: no pair is formed.
    """
    places = torch.where(weight > 0, scores.detach(), -1.0)  # the others behind all of these
    order = places.argsort(dim=1, descending=True, stable=True)
    sorted_scores, sorted_weight = scores.gather(1, order), weight.gather(1, order)
    sums = [(sorted_weight * sorted_scores**k).cumsum(1) for k in range(3)]
    missing = margin - scores
    # Those without weight are behind, or add nothing.
    number = torch.searchsorted(-places.gather(1, order), missing.detach().contiguous())
    last = (number - 1).clamp_min(0)
    of_first = [torch.where(number > 0, each.gather(1, last), 0.0) for each in sums]
    total = missing**2 * of_first[0] + 2.0 * missing * of_first[1] + of_first[2]
    all_weight = weight.sum(1, keepdim=True)
    return total / torch.where(all_weight > 0, all_weight, 1.0)


class PartialAUCLoss(RankingLoss):
    r"""Partial AUC, :math:`\overline{\max(0, m - p_i + p_j)^2}`, j among the hardest others.

    Screening and retrieval are used at low false-positive rates, and the rest of the ROC curve does
    not matter. Only the share `max_fpr` of the others that score highest is compared with the
    samples of the class. `max_fpr=1` is the whole area. Time and memory grow with the number of
    samples, and not with that of pairs. A class without samples on both sides does not count;
    truths above 0.5 are yes.

    Shape:
        As for `BinaryCrossEntropyLoss`; every class is a problem of its own.

    Example:
        >>> import torch
        >>> logits, truth = torch.tensor([2.0, 0.0, -1.0]), torch.tensor([1, 0, 0])
        >>> PartialAUCLoss(max_fpr=0.5)(logits, truth), PartialAUCLoss(max_fpr=1.0)(logits, truth)
        (tensor(0.3834), tensor(0.2670))

    Inference: the outputs order; choose a threshold on validation data.
    """

    max_fpr: Annotated[
        float,
        About(
            "share of the others that is compared, the largest false-positive rate that matters; "
            "raising it looks at more of the curve",
            within="(0, 1]",
            fix="0.3 is usual; 1 is the whole area",
            search=(0.05, 1.0),
        ),
    ] = 0.3
    margin: Margin = 1.0

    def of_classes(self, columns: Columns) -> Tensor:
        """One loss per class."""
        return partial_auc_values(columns, self.max_fpr, self.margin)


@function_of(PartialAUCLoss)
def partial_auc_loss(
    input: Logits,
    target: Tensor,
    *,
    max_fpr: float = 0.3,
    margin: float = 1.0,
    **shared: Unpack[BackgroundCall],
) -> Tensor:
    r"""Partial AUC, :math:`\overline{\max(0, m - p_i + p_j)^2}`, j among the hardest others.

    Example:
        >>> import torch
        >>> partial_auc_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]), margin=0.5)
        tensor(0.2500)
    """
    values = functools.partial(partial_auc_values, max_fpr=max_fpr, margin=margin)
    return ranking_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "partial_auc",
    PartialAUCLoss,
    partial_auc_loss,
    summary="the samples of a class above the hardest of the others, for low false-positive rates",
    formula=r"\frac{1}{P K} \sum_{i \in +} \sum_{j \in \mathrm{top}_K(-)} \max(0, m - p_i + p_j)^2,"
    r"\quad K = \lceil \beta N \rceil",
    reference=Reference(
        "Zhu, Li, Wang, Wu, Yang",
        "When AUC Meets DRO: Optimizing Partial AUC for Deep Learning with Non-Convex Convergence "
        "Guarantee",
        "ICML 2022",
        "the one-way partial AUC with the CVaR over the negatives",
    ),
    differs={
        "LibAUC": "pAUC_CVaR_Loss and PairwiseAUCLoss take sigmoids, and all pairs; the first "
        "estimates the threshold of every positive over the training, here it is that of the batch",
    },
    denominator="classes with samples on both sides",
    examples=("partial_auc()", "partial_auc(max_fpr=1, margin=0.4)"),
    call="batch",
)
