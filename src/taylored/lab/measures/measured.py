"""What a metric makes of the outputs of one loss: a value, and what each row contributes to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taylored.lab.data import GROUPS, Group
from taylored.lab.measures.tested import Floats, Folded, Integers


@dataclass(frozen=True, eq=False)
class Rows:
    """What each row contributes to a metric.

    The metric is the sum over strata of ``weights`` times the mean over the rows of the stratum and
    over repeats of ``pseudo``; so the difference of two losses has the difference of their pseudo
    values. For a metric that is no mean over rows, a pseudo-value is the metric plus N times its
    derivative by the weight of the row.

    Args:
        pseudo: one number per repeat and row.
        strata: the class of each row; 0 for all rows where rows have any number of labels.
        weights: one per stratum; they add up to 1.
        pooled: the number of the group of each stratum, inside which variances are alike.

    Shape:
        pseudo (R, N); strata (N,); weights and pooled (S,).
    """

    pseudo: Floats
    strata: Integers
    weights: Floats
    pooled: Integers


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric of one loss.

    Args:
        value: the mean over repeats; None where the metric does not exist, such as the tail
            accuracy without tail classes.
        by_fold: the metric on the rows of each fold, NaN where it does not exist, (R, K).
        rows: what each row contributes; None for a metric that is never tested.
    """

    value: float | None
    by_fold: Floats
    rows: Rows | None = None


def absent(tested: Folded) -> Measured:
    """A metric that these data do not have."""
    return Measured(None, np.full((tested.repeats, tested.fold_count), np.nan))


def by_class(
    tested: Folded, groups: Sequence[Group], pseudo: Floats, weights: Floats | None = None
) -> Rows:
    """Rows whose strata are their classes; without weights a class counts by its share of rows."""
    if weights is None:
        weights = tested.class_counts / tested.rows
    pooled = np.array([GROUPS.index(group) for group in groups], dtype=np.int64)
    return Rows(pseudo, tested.labels.astype(np.int64), weights, pooled)


def in_one_stratum(pseudo: Floats) -> Rows:
    """Rows that all count alike."""
    rows = pseudo.shape[1]
    only = np.zeros(1, dtype=np.int64)
    return Rows(pseudo, np.zeros(rows, dtype=np.int64), np.ones(1), only)


def rows_of(tested: Folded, groups: Sequence[Group], pseudo: Floats) -> Rows:
    """Rows of a metric that weighs them alike; without strata where rows have many labels."""
    return in_one_stratum(pseudo) if tested.multi_label else by_class(tested, groups, pseudo)
