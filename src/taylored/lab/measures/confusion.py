"""Metrics of the confusion matrix: macro F1 and Matthews correlation."""

from collections.abc import Callable, Sequence

import numpy as np

from taylored.lab.data import Group
from taylored.lab.measures.measured import Measured, by_class
from taylored.lab.measures.tested import Decided, Floats, Integers

Influence = Callable[[Floats], tuple[float, Floats]]
"""A metric of a confusion matrix (truth in rows), and its derivative by every entry."""


def confusion(labels: Integers, predicted: Integers, classes: int) -> Floats:
    """Rows by true class (first axis) and predicted class, (C, C)."""
    cells = labels * classes + predicted
    counts = np.bincount(cells, minlength=classes * classes).astype(np.float64)
    return counts.reshape(classes, classes)


def macro_f1(counts: Floats) -> tuple[float, Floats]:
    """Mean F1 of the classes that have rows, and its derivative by every entry.

    F1 of a class is 2 TP / (rows of the class + rows that are taken for it).

    >>> value, slope = macro_f1(np.array([[3.0, 1.0], [0.0, 4.0]]))
    >>> round(value, 4), round(float(abs((slope * [[3, 1], [0, 4]]).sum())), 9)
    (0.873, 0.0)
    """
    truth, taken, hits = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    present = truth > 0
    size = np.where(present, truth + taken, 1.0)
    share = present / np.count_nonzero(present)
    f1 = 2 * hits / size
    # An entry (a, b) adds to the size of a and of b, and on the diagonal to the hits as well.
    down = share * f1 / size
    slope = np.diag(2 * share / size) - down[:, None] - down[None, :]
    return float(share @ f1), slope


def matthews(counts: Floats) -> tuple[float, Floats]:
    """Matthews correlation of any number of classes, and its derivative by every entry.

    It is 0, with derivative 0, where all rows are of one class or are taken for one.

    Reference:
        J. Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient,
        Computational Biology and Chemistry 28, 2004, eq. 8.
    """
    truth, taken = counts.sum(axis=1), counts.sum(axis=0)
    total, hits = counts.sum(), np.trace(counts)
    covariance = hits * total - truth @ taken
    spread_taken, spread_truth = total**2 - taken @ taken, total**2 - truth @ truth
    if spread_taken <= 0 or spread_truth <= 0:
        return 0.0, np.zeros_like(counts)
    scale = np.sqrt(spread_taken * spread_truth)
    value = covariance / scale
    d_covariance = total * np.eye(len(counts)) + hits - taken[:, None] - truth[None, :]
    d_taken = (total - taken)[None, :] / spread_taken
    d_truth = (total - truth)[:, None] / spread_truth
    return float(value), d_covariance / scale - value * (d_taken + d_truth)


def of_confusion(decided: Decided, groups: Sequence[Group], metric: Influence) -> Measured:
    """A metric of the confusion matrix that all rows of a repeat have together."""
    labels, predicted = decided.labels.astype(np.int64), decided.predicted
    values, pseudo = [], np.empty((decided.repeats, decided.rows))
    by_fold = np.full((decided.repeats, decided.fold_count), np.nan)
    for repeat in range(decided.repeats):
        value, slope = metric(confusion(labels, predicted[repeat], decided.classes))
        values.append(value)
        pseudo[repeat] = value + decided.rows * slope[labels, predicted[repeat]]
        for fold in range(decided.fold_count):
            inside = decided.folds[repeat] == fold
            if inside.any():
                part = confusion(labels[inside], predicted[repeat, inside], decided.classes)
                by_fold[repeat, fold] = metric(part)[0]
    return Measured(float(np.mean(values)), by_fold, by_class(decided, groups, pseudo))
