"""Area under the ROC curve and average precision of columns of scores, with influence of each row.

The influence of a row is the derivative of the metric by the weight of the row; over the rows of a
column it adds up to 0.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Ranking(Protocol):
    """A metric of the order of scores: one value and one influence per row for each column.

    Shape:
        scores and truth (N, L), truth 0 or 1; returns (L,) and (N, L) in float64. Both are NaN in
        columns that lack positives or, for the ROC curve, negatives.
    """

    def __call__(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Values and influences of all columns."""
        ...


def auroc(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Share of pairs of a positive and a negative that are in order, ties counting half.

    >>> auroc(torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [1]]))[0]
    tensor([0.5000], dtype=torch.float64)

    Reference:
        E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Comparing the Areas under Two or More
        Correlated Receiver Operating Characteristic Curves, Biometrics 44, 1988.
    """
    order = _Order.of(scores, truth)
    hits, misses = order.hits, 1 - order.hits
    positives, negatives = hits.sum(1, keepdim=True), misses.sum(1, keepdim=True)
    above, with_ties = order.before(hits), order.until(hits)
    over_row = above + (with_ties - above) / 2  # positives that are ranked over the row
    under_row = negatives - (order.before(misses) + order.until(misses)) / 2
    placement = torch.where(hits == 1, under_row / negatives, over_row / positives)
    value = (placement * hits).sum(1, keepdim=True) / positives
    share = torch.where(hits == 1, positives, negatives)
    influence = (placement - value) / share
    return value[:, 0], order.in_rows(influence)


def average_precision(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over positives of the precision among the rows that score as much or more.

    Equal scores share one threshold, so that the numbers are those of scikit-learn.

    >>> average_precision(torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [1]]))[0]
    tensor([0.8333], dtype=torch.float64)
    """
    order = _Order.of(scores, truth)
    hits = order.hits
    positives = hits.sum(1, keepdim=True)
    found, rows = order.until(hits), order.until(torch.ones_like(hits))
    precision = found / rows
    value = (hits * precision).sum(1, keepdim=True) / positives
    # A row changes the precision at every threshold that it passes: those at or below its score.
    gained = _from(hits / rows, order)
    lost = _from(hits * found / rows**2, order)
    influence = (hits * (precision - value + gained) - lost) / positives
    return value[:, 0], order.in_rows(influence)


@dataclass(frozen=True, eq=False)
class _Order:
    """Columns sorted from the largest score down, as rows of a tensor (L, N).

    `starts` and `ends` are the first and last place of the scores that are equal.
    """

    hits: Tensor
    places: Tensor
    starts: Tensor
    ends: Tensor

    @classmethod
    def of(cls, scores: Tensor, truth: Tensor) -> "_Order":
        ordered, places = scores.T.sort(dim=1, descending=True)
        hits = truth.T.gather(1, places).double()
        rows = scores.shape[0]
        place = torch.arange(rows)
        differs = ordered[:, 1:] != ordered[:, :-1]
        edge = torch.ones(len(ordered), 1, dtype=torch.bool)
        starts = torch.where(torch.cat((edge, differs), 1), place, 0).cummax(1).values
        last = torch.where(torch.cat((differs, edge), 1), place, rows)
        return cls(hits, places, starts, last.flip(1).cummin(1).values.flip(1))

    def until(self, values: Tensor) -> Tensor:
        """Sums over the rows that score as much or more."""
        return values.cumsum(1).gather(1, self.ends)

    def before(self, values: Tensor) -> Tensor:
        """Sums over the rows that score more."""
        return (values.cumsum(1) - values).gather(1, self.starts)

    def in_rows(self, values: Tensor) -> Tensor:
        """Values in the order of the rows, (N, L)."""
        return torch.empty_like(values).scatter_(1, self.places, values).T


def _from(values: Tensor, order: _Order) -> Tensor:
    """Sums over the rows that score as much or less."""
    return values.sum(1, keepdim=True) - order.before(values)
