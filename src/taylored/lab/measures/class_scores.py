"""One number per class: recall, or average precision of a label."""

import numpy as np

from taylored.lab.measures.accuracies import class_means
from taylored.lab.measures.ranked import each_column
from taylored.lab.measures.ranking import average_precision
from taylored.lab.measures.tested import Tested


def class_scores(tested: Tested) -> tuple[float | None, ...]:
    """Recall of each class, or average precision of each label; None where there is none."""
    if tested.multi_label:
        values = each_column(tested, average_precision)
    else:
        labels = tested.labels.astype(np.int64)
        values = class_means(tested.correct.mean(axis=0), labels, tested.classes)
    return tuple(None if np.isnan(value) else float(value) for value in values)
