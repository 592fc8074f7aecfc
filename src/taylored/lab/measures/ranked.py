"""Metrics of the order of scores, inside each fold: scores of two models are not comparable."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.measures.measured import Measured, absent, rows_of
from taylored.lab.measures.ranking import Ranking
from taylored.lab.measures.tested import Floats, Tested


def macro(
    tested: Tested, groups: Sequence[Group], metric: Ranking, group: str | None = None
) -> Measured:
    """Mean over classes (each against the rest) or labels, of all or of one group.

    Of a class it is the mean over the folds in which the metric exists. Of two classes only the
    rarer one counts.
    """
    columns = _columns(tested, groups, group)
    if not len(columns):
        return absent(tested)
    values, pseudo = [], np.empty((tested.repeats, tested.rows))
    by_fold = np.empty((tested.repeats, tested.fold_count))
    for repeat in range(tested.repeats):
        scores, truth = _one_against_rest(tested, repeat, columns)
        found, influence = _by_fold(tested, repeat, scores, truth, metric)
        exists = ~np.isnan(found)
        folds = exists.sum(axis=0)
        if not folds.any():
            return absent(tested)
        counted = exists / np.maximum(folds, 1) / np.count_nonzero(folds)
        value = float((np.nan_to_num(found) * counted).sum())
        values.append(value)
        share = counted[tested.folds[repeat]]
        pseudo[repeat] = value + tested.rows * (np.nan_to_num(influence) * share).sum(axis=1)
        by_fold[repeat] = [_mean(row) for row in found]
    return Measured(float(np.mean(values)), by_fold, rows_of(tested, groups, pseudo))


def micro(tested: Tested, groups: Sequence[Group], metric: Ranking) -> Measured:
    """The metric of all elements as one list, where frequent labels weigh most."""
    truth = torch.from_numpy(tested.labels)
    values, pseudo = [], np.empty((tested.repeats, tested.rows))
    by_fold = np.full((tested.repeats, tested.fold_count), np.nan)
    for repeat in range(tested.repeats):
        influence = np.zeros(tested.rows)
        for fold in range(tested.fold_count):
            inside = torch.from_numpy(tested.folds[repeat] == fold)
            scores = tested.scores[repeat, inside].reshape(-1, 1)
            found, change = metric(scores, truth[inside].reshape(-1, 1))
            by_fold[repeat, fold] = float(found)
            influence[inside.numpy()] = change.reshape(-1, tested.classes).sum(1).numpy()
        exists = ~np.isnan(by_fold[repeat])
        if not exists.any():
            return absent(tested)
        values.append(_mean(by_fold[repeat]))
        share = tested.rows / np.count_nonzero(exists)
        pseudo[repeat] = values[-1] + share * np.nan_to_num(influence)
    return Measured(float(np.mean(values)), by_fold, rows_of(tested, groups, pseudo))


def each_column(tested: Tested, metric: Ranking) -> Floats:
    """The metric of each label, a mean over the folds in which it exists; NaN where none, (L,)."""
    every, found = list(range(tested.classes)), []
    for repeat in range(tested.repeats):
        scores, truth = _one_against_rest(tested, repeat, every)
        found.append(_by_fold(tested, repeat, scores, truth, metric)[0])
    values = np.concatenate(found)
    counts = (~np.isnan(values)).sum(axis=0)
    sums = np.nan_to_num(values).sum(axis=0)
    mean: Floats = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return mean


def margins(scores: Tensor) -> Tensor:
    """log p - log(1 - p) of every class under the softmax of the scores, exact at both ends.

    >>> margins(torch.tensor([[2.0, 0.5]]))
    tensor([[ 1.5000, -1.5000]], dtype=torch.float64)
    """
    wide = scores.double()
    if wide.shape[1] == 2:
        return wide - wide.flip(1)
    log_p = torch.log_softmax(wide, dim=1)
    top = wide.argmax(dim=1, keepdim=True)
    # 1 - p has no digits left for a class that is almost certain: it is the sum of the others.
    others = wide.scatter(1, top, -torch.inf).logsumexp(dim=1, keepdim=True)
    odds = log_p - torch.log1p(-log_p.exp())
    return odds.scatter(1, top, wide.gather(1, top) - others)


def _columns(tested: Tested, groups: Sequence[Group], group: str | None) -> list[int]:
    """The classes that are measured."""
    if tested.classes == 2 and not tested.multi_label:
        return [rarer(tested)] if group is None else []
    return [c for c, name in enumerate(groups) if group is None or name == group]


def rarer(tested: Tested) -> int:
    """The class with fewer rows, the positive one of two; the second if both have as many."""
    return 0 if tested.class_counts[0] < tested.class_counts[1] else 1


def _one_against_rest(tested: Tested, repeat: int, columns: list[int]) -> tuple[Tensor, Tensor]:
    labels = torch.from_numpy(tested.labels.astype(np.int64))
    if tested.multi_label:
        return tested.scores[repeat][:, columns], labels[:, columns]
    truth = (labels[:, None] == torch.tensor(columns)).long()
    return margins(tested.scores[repeat])[:, columns], truth


def _by_fold(
    tested: Tested, repeat: int, scores: Tensor, truth: Tensor, metric: Ranking
) -> tuple[Floats, Floats]:
    """The metric in each fold, (K, L), and the influence of each row in its fold, (N, L)."""
    values = np.full((tested.fold_count, scores.shape[1]), np.nan)
    influence = np.full(tuple(scores.shape), np.nan)
    for fold in range(tested.fold_count):
        inside = tested.folds[repeat] == fold
        if inside.any():
            rows = torch.from_numpy(inside)
            found, change = metric(scores[rows], truth[rows])
            values[fold], influence[inside] = found.numpy(), change.numpy()
    return values, influence


def _mean(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else np.nan
