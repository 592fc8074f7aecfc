"""Area under the ROC curve and average precision of columns of scores, with influence of each row.

The influence of a row is the derivative of the metric by the weight of the row; over the rows of a
column it adds up to 0.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ranked:
    """Columns sorted from the largest score down, as rows of a tensor (L, N).

    `starts` and `ends` are the first and last place of the scores that are equal; None where none
    are, which saves half of the work.
    """

    hits: Tensor
    places: Tensor
    starts: Tensor | None
    ends: Tensor | None

    @classmethod
    def of(cls, scores: Tensor, truth: Tensor) -> "Ranked":
        """Sort every column once, for all metrics.

        Shape:
            scores and truth (N, L), truth 0 or 1.
        """
        downwards = -np.ascontiguousarray(scores.numpy().T)
        order = np.argsort(downwards, axis=1)  # several times faster than torch's
        ordered = torch.from_numpy(np.take_along_axis(downwards, order, axis=1))
        places = torch.from_numpy(order)
        hits = truth.T.gather(1, places).double()
        differs = ordered[:, 1:] != ordered[:, :-1]
        if bool(differs.all()):
            return cls(hits, places, None, None)
        rows = scores.shape[0]
        place = torch.arange(rows)
        edge = torch.ones(len(ordered), 1, dtype=torch.bool)
        starts = torch.where(torch.cat((edge, differs), 1), place, 0).cummax(1).values
        last = torch.where(torch.cat((differs, edge), 1), place, rows)
        return cls(hits, places, starts, last.flip(1).cummin(1).values.flip(1))

    def until(self, values: Tensor) -> Tensor:
        """Sums over the rows that score as much or more."""
        sums = values.cumsum(1)
        return sums if self.ends is None else sums.gather(1, self.ends)

    def before(self, values: Tensor) -> Tensor:
        """Sums over the rows that score more."""
        sums = values.cumsum(1) - values
        return sums if self.starts is None else sums.gather(1, self.starts)

    def in_rows(self, values: Tensor) -> Tensor:
        """Values in the order of the rows, (N, L)."""
        return torch.empty_like(values).scatter_(1, self.places, values).T


class Ranking(Protocol):
    """A metric of the order of scores: one value and one influence per row for each column.

    Shape:
        Returns (L,) and (N, L) in float64. Both are NaN in columns that lack positives or, for the
        ROC curve, negatives.
    """

    def __call__(self, ranked: Ranked) -> tuple[Tensor, Tensor]:
        """Values and influences of all columns."""
        ...


def auroc(ranked: Ranked) -> tuple[Tensor, Tensor]:
    """Share of pairs of a positive and a negative that are in order, ties counting half.

    >>> scores, truth = torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [1]])
    >>> auroc(Ranked.of(scores, truth))[0]
    tensor([0.5000], dtype=torch.float64)

    Reference:
        E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Comparing the Areas under Two or More
        Correlated Receiver Operating Characteristic Curves, Biometrics 44, 1988.
    """
    hits, misses = ranked.hits, 1 - ranked.hits
    positives, negatives = hits.sum(1, keepdim=True), misses.sum(1, keepdim=True)
    above, with_ties = ranked.before(hits), ranked.until(hits)
    over_row = above + (with_ties - above) / 2  # positives that are ranked over the row
    under_row = negatives - (ranked.before(misses) + ranked.until(misses)) / 2
    placement = torch.where(hits == 1, under_row / negatives, over_row / positives)
    value = (placement * hits).sum(1, keepdim=True) / positives
    share = torch.where(hits == 1, positives, negatives)
    influence = (placement - value) / share
    return value[:, 0], ranked.in_rows(influence)


def average_precision(ranked: Ranked) -> tuple[Tensor, Tensor]:
    """Mean over positives of the precision among the rows that score as much or more.

    Equal scores share one threshold, so that the numbers are those of scikit-learn.

    >>> scores, truth = torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [1]])
    >>> average_precision(Ranked.of(scores, truth))[0]
    tensor([0.8333], dtype=torch.float64)
    """
    hits = ranked.hits
    positives = hits.sum(1, keepdim=True)
    found, rows = ranked.until(hits), ranked.until(torch.ones_like(hits))
    precision = found / rows
    value = (hits * precision).sum(1, keepdim=True) / positives
    # A row changes the precision at every threshold that it passes: those at or below its score.
    gained = _from(hits / rows, ranked)
    lost = _from(hits * found / rows**2, ranked)
    influence = (hits * (precision - value + gained) - lost) / positives
    return value[:, 0], ranked.in_rows(influence)


def _from(values: Tensor, ranked: Ranked) -> Tensor:
    """Sums over the rows that score as much or less."""
    return values.sum(1, keepdim=True) - ranked.before(values)
