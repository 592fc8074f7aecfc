"""AUC-margin loss: the scores of a class apart from the others', each side close together."""

from __future__ import annotations

import functools
from typing import Unpack

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.logistic import sigmoid
from taylored.core.plan.options import Options
from taylored.losses.ranking.columns import Columns, Margin, RankingLoss, ranking_loss
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall

__all__ = ["AUCMarginLoss", "auc_margin_loss"]


def auc_margin_values(at: Columns, margin: float) -> Tensor:
    """The AUC-margin objective with a, b and alpha at their best (Yuan et al. 2021, equation 4).

    a and b are the mean scores of both sides; alpha, which is maximised over numbers >= 0, is how
    much the means lack of the margin.
    """
    scores = sigmoid(at.z)
    high, low = at.mean(scores, at.yes), at.mean(scores, at.no)
    spread = at.mean((scores - high) ** 2, at.yes) + at.mean((scores - low) ** 2, at.no)
    return (spread + (margin + low - high).clamp_min(0.0) ** 2).squeeze(1)


class AUCMarginLoss(RankingLoss):
    r"""AUC-margin, :math:`\mathrm{Var}_+ + \mathrm{Var}_- + \max(0, m + \bar p_- - \bar p_+)^2`.

    The area under the ROC curve is the share of pairs in the right order. The squared cost of all
    pairs is that of the two means and variances of the sigmoid scores, so that no pair has to be
    formed; the margin alone is bounded, and pairs in good order do not pull. It is published as a
    game with three more variables, for an optimiser of its own; here they are at their best for
    every batch, so that any optimiser will do. Batches should have some samples of each side; a
    class without does not count. It is usual to begin with cross-entropy and to fine-tune with
    this. Truths above 0.5 are yes.

    Shape:
        As for `BinaryCrossEntropyLoss`; every class is a problem of its own.

    Example:
        >>> import torch
        >>> loss = AUCMarginLoss(margin=1.0)
        >>> loss(torch.tensor([2.0, 0.0, -1.0]), torch.tensor([1, 0, 0]))
        tensor(0.2670)

    Inference: the outputs order; choose a threshold on validation data.
    """

    margin: Margin = 1.0

    def of_classes(self, columns: Columns) -> Tensor:
        """One loss per class."""
        return auc_margin_values(columns, self.margin)


@function_of(AUCMarginLoss)
def auc_margin_loss(
    input: Logits, target: Tensor, *, margin: float = 1.0, **shared: Unpack[BackgroundCall]
) -> Tensor:
    r"""AUC-margin, :math:`\mathrm{Var}_+ + \mathrm{Var}_- + \max(0, m + \bar p_- - \bar p_+)^2`.

    Example:
        >>> import torch
        >>> auc_margin_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]), margin=0.5)
        tensor(0.2500)
    """
    values = functools.partial(auc_margin_values, margin=margin)
    return ranking_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "auc_margin",
    AUCMarginLoss,
    auc_margin_loss,
    summary="mean scores of both sides apart by a margin, each side close together (AUCM)",
    formula=r"\mathrm{Var}_+(p) + \mathrm{Var}_-(p) + \max(0, m + \bar p_- - \bar p_+)^2",
    reference=Reference(
        "Yuan, Yan, Sonka, Yang",
        "Large-scale Robust Deep AUC Maximization: A New Surrogate Loss and Empirical Studies on "
        "Medical Image Classification",
        "ICCV 2021",
        "the AUC margin loss",
    ),
    differs={
        "LibAUC": "AUCMLoss(version='v2') at the best a, b and alpha of the batch, of logits "
        "where it takes sigmoids; version='v1' is this times P N / (P + N)^2. There the three are "
        "trained by an optimiser of its own, PESG",
    },
    denominator="classes with samples on both sides",
    examples=("auc_margin()", "auc_margin(margin=0.3)"),
    call="batch",
)
