"""Label ranking: every true label above every other, pair by pair."""

from __future__ import annotations

import functools
from typing import Annotated, Literal, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.numerics import one_if_zero
from taylored.core.plan.options import Options
from taylored.core.rows.row_loss import set_loss
from taylored.core.terms.point import continued, inside
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundCall, BackgroundLoss

__all__ = ["LabelRankingLoss", "label_ranking_loss"]

PairCost = Literal["logistic", "wrong"]


def label_ranking_values(z: Tensor, y: Tensor, counted: Tensor, pairs: PairCost) -> Tensor:
    """The mean over pairs of a true label i and another j of what z_j - z_i costs."""
    yes, no = counted & (y > 0.5), counted & ~(y > 0.5)
    both = yes.unsqueeze(2) & no.unsqueeze(1)
    number = both.sum((1, 2))
    above, below = (torch.where(side, z, 0.0) for side in (yes, no))
    lead = torch.where(both, below.unsqueeze(1) - above.unsqueeze(2), 0.0)
    if pairs == "wrong":  # which has no slope: the zero keeps it on the graph
        costs = (lead >= 0).to(z.dtype) + 0.0 * torch.nan_to_num(lead, 0.0, 0.0, 0.0)
        costs = torch.where(lead.isnan(), torch.nan, costs)
    else:
        costs = continued(F.softplus(inside(lead)), lead, both.to(z.dtype))
    return torch.where(both, costs, 0.0).sum((1, 2)) / one_if_zero(number)


class LabelRankingLoss(BackgroundLoss):
    r"""Label ranking, :math:`\overline{\log (1 + e^{z_j - z_i})}` over true i and other j.

    Every label that is true is to be ranked above every one that is not. `pairs="wrong"` counts the
    pairs that are the wrong way round, ties included: the metric itself, which has no gradient.
    Rows in which all labels are true, or none, cost 0. Truths above 0.5 are true. It takes memory
    for the square of the number of classes, a piece of the batch at a time.

    Example:
        >>> import torch
        >>> z, truth = torch.tensor([[2.0, -1.0, 3.0]]), torch.tensor([[1, 0, 0]])
        >>> LabelRankingLoss()(z, truth), LabelRankingLoss(pairs="wrong")(z, truth)
        (tensor(0.6809), tensor(0.5000))
    """

    link = "sigmoid"
    unreadable = "it orders labels, and no threshold is trained"
    pairs: Annotated[
        PairCost,
        About('what a pair costs: "logistic", or 1 where it is "wrong", without a gradient'),
    ] = "logistic"

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """One value per position."""
        values = functools.partial(label_ranking_values, pairs=self.pairs)
        return set_loss(input, target, values, options)


@function_of(LabelRankingLoss)
def label_ranking_loss(
    input: Logits,
    target: Tensor,
    *,
    pairs: PairCost = "logistic",
    **shared: Unpack[BackgroundCall],
) -> Tensor:
    r"""Label ranking, :math:`\overline{\log (1 + e^{z_j - z_i})}` over true i and other j.

    Example:
        >>> import torch
        >>> label_ranking_loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.0486)
    """
    values = functools.partial(label_ranking_values, pairs=pairs)
    return set_loss(input, target, values, Options(link="sigmoid", **shared))


SPEC = spec_of(
    "label_ranking",
    LabelRankingLoss,
    label_ranking_loss,
    summary="every true label above every other, by pairs: logistic, or counted",
    formula=r"\frac{1}{|Y| |\bar Y|} \sum_{i \in Y} \sum_{j \notin Y} \log (1 + e^{z_j - z_i})",
    reference=Reference(
        "Tsoumakas, Katakis, Vlahavas",
        "Mining Multi-label Data",
        "Data Mining and Knowledge Discovery Handbook 2010",
        "ranking loss; logistic: Dekel, Manning, Singer, NeurIPS 2003",
    ),
    differs={
        "scikit-learn": "label_ranking_loss: pairs='wrong'",
        "torchmetrics": "MultilabelRankingLoss: pairs='wrong', but for ties, which it ranks by "
        "place",
    },
    denominator="positions of which a class counts",
    examples=("label_ranking()", 'label_ranking(pairs="wrong")'),
    call="sets",
)
