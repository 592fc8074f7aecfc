"""What two classes have besides: precision and recall of the rarer one, confusion matrix."""

from dataclasses import dataclass

import numpy as np

from taylored.lab.measures.confusion import confusion
from taylored.lab.measures.ranked import rarer
from taylored.lab.measures.tested import Floats, Tested


@dataclass(frozen=True, eq=False)
class Binary:
    """How the rarer of two classes is found, by the class with the larger score.

    Args:
        positive: the rarer class, 0 or 1.
        precision: share of the rows taken for it that are of it; None if there is none.
        recall: share of its rows that are taken for it; None if it has none.
        f1: harmonic mean of the two; None if no row is of it or taken for it.
        confusion: rows by true (first axis) and predicted class, a mean over repeats, (2, 2).
    """

    positive: int
    precision: float | None
    recall: float | None
    f1: float | None
    confusion: Floats


def binary(tested: Tested) -> Binary:
    """Precision, recall and F1 of the rarer class, from the mean confusion matrix of repeats."""
    if tested.classes != 2 or tested.multi_label:
        raise ValueError(f"tested must have two classes, one per row, got {tested.classes}")
    labels = tested.labels.astype(np.int64)
    counts = np.mean([confusion(labels, row, 2) for row in tested.predicted], axis=0)
    positive = rarer(tested)
    hits = float(counts[positive, positive])
    truth, taken = float(counts[positive].sum()), float(counts[:, positive].sum())
    return Binary(
        positive=positive,
        precision=hits / taken if taken else None,
        recall=hits / truth if truth else None,
        f1=2 * hits / (truth + taken) if truth + taken else None,
        confusion=counts,
    )
