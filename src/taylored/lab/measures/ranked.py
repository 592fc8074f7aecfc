"""Metrics of the order of scores, inside each fold: scores of two models are not comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.measures.measured import Measured, absent, rows_of
from taylored.lab.measures.ranking import Ranking
from taylored.lab.measures.tested import Floats, Tested

Flags = npt.NDArray[np.bool_]


def macro(
    tested: Tested, groups: Sequence[Group], metric: Ranking, parts: Sequence[Group | None]
) -> list[Measured]:
    """Means over classes (each against the rest) or labels: of each group asked for, None for all.

    Of a class it is the mean over the folds in which the metric exists. Of two classes only the
    rarer one counts, and there are no groups.
    """
    columns = _columns(tested)
    inside = [_inside(tested, groups, part)[columns] for part in parts]
    found = [_by_fold(tested, repeat, columns, metric) for repeat in range(tested.repeats)]
    return [_mean_of(tested, groups, found, chosen) for chosen in inside]


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
        found.append(_by_fold(tested, repeat, every, metric).values)
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


def rarer(tested: Tested) -> int:
    """The class with fewer rows, the positive one of two; the second if both have as many."""
    return 0 if tested.class_counts[0] < tested.class_counts[1] else 1


def _one_against_rest(tested: Tested, repeat: int, columns: list[int]) -> tuple[Tensor, Tensor]:
    labels = torch.from_numpy(tested.labels.astype(np.int64))
    if tested.multi_label:
        return tested.scores[repeat][:, columns], labels[:, columns]
    truth = (labels[:, None] == torch.tensor(columns)).long()
    return margins(tested.scores[repeat])[:, columns], truth


@dataclass(frozen=True, eq=False)
class _Columns:
    """A metric of each column in each fold, (K, L), and the influence of each row there, (N, L)."""

    values: Floats
    influence: Floats


def _by_fold(tested: Tested, repeat: int, columns: list[int], metric: Ranking) -> _Columns:
    scores, truth = _one_against_rest(tested, repeat, columns)
    values = np.full((tested.fold_count, len(columns)), np.nan)
    influence = np.full((tested.rows, len(columns)), np.nan)
    for fold in range(tested.fold_count):
        inside = tested.folds[repeat] == fold
        if inside.any():
            rows = torch.from_numpy(inside)
            found, change = metric(scores[rows], truth[rows])
            values[fold], influence[inside] = found.numpy(), change.numpy()
    return _Columns(values, influence)


def _mean_of(
    tested: Tested, groups: Sequence[Group], found: list[_Columns], chosen: Flags
) -> Measured:
    """The mean over some columns, in each of them over the folds that have the metric."""
    values, pseudo = [], np.empty((tested.repeats, tested.rows))
    by_fold = np.empty((tested.repeats, tested.fold_count))
    for repeat, each in enumerate(found):
        exists = ~np.isnan(each.values) & chosen
        folds = exists.sum(axis=0)
        if not folds.any():
            return absent(tested)
        counted = exists / np.maximum(folds, 1) / np.count_nonzero(folds)
        value = float((np.nan_to_num(each.values) * counted).sum())
        values.append(value)
        share = counted[tested.folds[repeat]]
        pseudo[repeat] = value + tested.rows * (np.nan_to_num(each.influence) * share).sum(axis=1)
        by_fold[repeat] = [_mean(row[chosen]) for row in each.values]
    return Measured(float(np.mean(values)), by_fold, rows_of(tested, groups, pseudo))


def _columns(tested: Tested) -> list[int]:
    """The classes or labels that are ranked."""
    if tested.classes == 2 and not tested.multi_label:
        return [rarer(tested)]
    return list(range(tested.classes))


def _inside(tested: Tested, groups: Sequence[Group], part: Group | None) -> Flags:
    """Which classes or labels a group has, (C,); of two classes none."""
    if part is None:
        return np.ones(tested.classes, dtype=np.bool_)
    if tested.classes == 2 and not tested.multi_label:
        return np.zeros(tested.classes, dtype=np.bool_)
    return np.array([group == part for group in groups], dtype=np.bool_)


def _mean(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else np.nan
