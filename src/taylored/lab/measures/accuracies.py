"""Metrics that are weighted means over rows: accuracies, and the negative log-likelihood."""

from collections.abc import Sequence

import numpy as np
import torch

from taylored.lab.data import GROUPS, Group
from taylored.lab.measures.measured import Measured, absent, by_class, in_one_stratum
from taylored.lab.measures.tested import Decided, Floats, Folded, Integers, Tested


def accuracy(decided: Decided, groups: Sequence[Group], metric: str) -> Measured:
    """Accuracy overall, mean recall of all classes, or of the classes of a group.

    A class counts by its share of the rows for ``"accuracy"``, and otherwise all classes that have
    rows count alike. Two classes have no groups.
    """
    return _mean(decided, groups, decided.correct, class_weights(decided, groups, metric))


def negative_log_likelihood(tested: Tested, groups: Sequence[Group]) -> Measured:
    """Mean negative log-likelihood of the truth in nats; of all labels, for any number of them."""
    each = np.stack([_surprise(tested, repeat) for repeat in range(tested.repeats)])
    if tested.multi_label:
        return _mean_over_rows(tested, each)
    return _mean(tested, groups, each, tested.class_counts / tested.rows)


def class_weights(tested: Folded, groups: Sequence[Group], metric: str) -> Floats | None:
    """The weight of each class in an accuracy, (C,); None where no class with rows counts.

    Shape:
        Returns (C,); the weights add up to 1.
    """
    counts = tested.class_counts
    if metric == "accuracy":
        return counts / tested.rows
    counted = counts > 0
    if metric in GROUPS:
        if tested.classes == 2:
            return None
        counted &= np.array([group == metric for group in groups])
    total = np.count_nonzero(counted)
    return counted / total if total else None


def class_means(each: Floats, labels: Integers, classes: int) -> Floats:
    """Mean over the rows of each class, NaN for a class without rows, (C,)."""
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=each, minlength=classes)
    means: Floats = np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)
    return means


def weighted(means: Floats, weights: Floats) -> float:
    """Weighted mean of the numbers that exist; NaN if none does that counts.

    >>> weighted(np.array([1.0, np.nan, 4.0]), np.array([0.5, 0.25, 0.25]))
    2.0
    """
    counted = np.where(np.isnan(means), 0.0, weights)
    total = float(counted.sum())
    return float(np.nan_to_num(means) @ counted) / total if total else np.nan


def _mean(
    tested: Folded, groups: Sequence[Group], each: Floats, weights: Floats | None
) -> Measured:
    """A weighted sum over classes of the means of one number per row, (R, N)."""
    if weights is None:
        return absent(tested)
    labels, classes = tested.labels.astype(np.int64), tested.classes
    value = float(np.mean([weighted(class_means(row, labels, classes), weights) for row in each]))
    by_fold = np.empty((tested.repeats, tested.fold_count))
    for repeat, fold in np.ndindex(*by_fold.shape):
        inside = tested.folds[repeat] == fold
        means = class_means(each[repeat, inside], labels[inside], classes)
        by_fold[repeat, fold] = weighted(means, weights)
    return Measured(value, by_fold, by_class(tested, groups, each, weights))


def _mean_over_rows(tested: Tested, each: Floats) -> Measured:
    by_fold = np.full((tested.repeats, tested.fold_count), np.nan)
    for repeat, fold in np.ndindex(*by_fold.shape):
        inside = tested.folds[repeat] == fold
        if inside.any():
            by_fold[repeat, fold] = each[repeat, inside].mean()
    return Measured(float(each.mean()), by_fold, in_one_stratum(each))


def _surprise(tested: Tested, repeat: int) -> Floats:
    """-log p of the truth of each row in one repeat, a mean over its labels if it has several."""
    labels = torch.from_numpy(tested.labels.astype(np.int64))
    if tested.multi_label:
        odds = tested.log_odds(repeat)
        losses = torch.nn.functional.softplus(torch.where(labels == 1, -odds, odds))
        found: Floats = losses.mean(dim=1).numpy()
        return found
    log_p: Floats = tested.log_probabilities(repeat).gather(1, labels[:, None])[:, 0].numpy()
    return -log_p
