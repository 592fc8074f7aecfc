"""Metrics of the order of scores, inside each fold: scores of two models are not comparable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from taylored.lab.data import Group
from taylored.lab.measures.measured import Measured, absent, rows_of
from taylored.lab.measures.ranking import Ranked, Ranking
from taylored.lab.measures.tested import Floats, Tested

Flags = npt.NDArray[np.bool_]
_AT_ONCE = 2**17  # numbers that are worked on together: they and what is made of them stay in cache


def macro(
    tested: Tested, groups: Sequence[Group], wanted: Mapping[Ranking, Sequence[Group | None]]
) -> dict[Ranking, list[Measured]]:
    """Means over classes (each against the rest) or labels: of each group asked for, None for all.

    Of a class it is the mean over the folds in which the metric exists. Of two classes only the
    rarer one counts, and there are no groups. Scores are sorted once for all metrics.
    """
    columns = _columns(tested)
    repeats = [_by_fold(tested, repeat, columns, [*wanted]) for repeat in range(tested.repeats)]
    return {
        metric: [
            _mean_of(
                tested,
                groups,
                [found[number] for found in repeats],
                _inside(tested, groups, part)[columns],
            )
            for part in parts
        ]
        for number, (metric, parts) in enumerate(wanted.items())
    }


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
            found, change = metric(Ranked.of(scores, truth[inside].reshape(-1, 1)))
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
        found.append(_by_fold(tested, repeat, every, [metric])[0].values)
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


def _one_against_rest(
    tested: Tested, repeat: int, rows: Tensor, columns: list[int]
) -> tuple[Tensor, Tensor]:
    labels = torch.from_numpy(tested.labels)[rows]
    if tested.multi_label:
        return tested.scores[repeat, rows][:, columns], labels[:, columns]
    odds = [margins(tested.scores[repeat, some])[:, columns] for some in _pieces(tested, rows)]
    return torch.cat(odds), labels[:, None] == torch.tensor(columns)


def _pieces(tested: Tested, rows: Tensor) -> Iterator[Tensor]:
    return iter(rows.split(max(1, _AT_ONCE // tested.classes)))


@dataclass(frozen=True, eq=False)
class _Columns:
    """A metric of each column in each fold, (K, L), and the influence of each row there, (N, L)."""

    values: Floats
    influence: Floats


def _by_fold(
    tested: Tested, repeat: int, columns: list[int], metrics: Sequence[Ranking]
) -> list[_Columns]:
    """Each metric of each column."""
    found = [
        _Columns(
            np.full((tested.fold_count, len(columns)), np.nan),
            np.full((tested.rows, len(columns)), np.nan),
        )
        for _ in metrics
    ]
    for fold in range(tested.fold_count):
        rows = np.flatnonzero(tested.folds[repeat] == fold)
        if not len(rows):
            continue
        scores, truth = _one_against_rest(tested, repeat, torch.from_numpy(rows), columns)
        width = max(1, _AT_ONCE // len(rows))
        for first in range(0, len(columns), width):
            part = slice(first, first + width)
            ranked = Ranked.of(scores[:, part], truth[:, part])
            for metric, kept in zip(metrics, found, strict=True):
                value, change = metric(ranked)
                kept.values[fold, part] = value.numpy()
                kept.influence[rows, part] = change.numpy()
    return found


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
        for fold, share in enumerate(counted):
            rows = tested.folds[repeat] == fold
            influence = np.nan_to_num(each.influence[rows])
            pseudo[repeat, rows] = value + tested.rows * (influence * share).sum(axis=1)
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
