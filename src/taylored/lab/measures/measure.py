"""All metrics of one loss by key."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from taylored.lab.data import Group
from taylored.lab.measures.accuracies import accuracy, negative_log_likelihood
from taylored.lab.measures.calibration import calibration
from taylored.lab.measures.confusion import macro_f1, matthews, of_confusion
from taylored.lab.measures.measured import Measured
from taylored.lab.measures.ranked import macro, micro
from taylored.lab.measures.ranking import auroc, average_precision
from taylored.lab.measures.tested import Tested


def measure(
    tested: Tested, groups: Sequence[Group], wanted: Collection[str]
) -> dict[str, Measured]:
    """The wanted metrics, in that order; the keys are those of `taylored.lab.metrics`.

    A metric that the data do not have has the value None: a group without classes, or any group of
    two classes.

    Args:
        tested: the outputs of one loss.
        groups: head, medium or tail for each class.
        wanted: keys of metrics.

    Raises:
        ValueError: for a key that the task does not have.
    """
    if len(groups) != tested.classes:
        raise ValueError(
            f"groups must name the group of each of the {tested.classes} classes, got {len(groups)}"
        )
    known = _MANY_LABELS if tested.multi_label else _ONE_CLASS
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise ValueError(f"wanted must be of {', '.join(known)}, got {unknown[0]!r}")
    return {key: known[key](tested, groups) for key in wanted}


def _calibration_error(tested: Tested, _: Sequence[Group]) -> Measured:
    """The debiased calibration error, which is never tested."""
    nowhere = np.full((tested.repeats, tested.fold_count), np.nan)
    return Measured(calibration(tested).debiased, nowhere)


_Measure = Callable[[Tested, Sequence[Group]], Measured]

_ONE_CLASS: Final[Mapping[str, _Measure]] = {
    **{
        key: partial(accuracy, metric=key)
        for key in ("balanced_accuracy", "accuracy", "head", "medium", "tail")
    },
    "macro_f1": partial(of_confusion, metric=macro_f1),
    "mcc": partial(of_confusion, metric=matthews),
    "auroc": partial(macro, metric=auroc),
    "average_precision": partial(macro, metric=average_precision),
    "nll": negative_log_likelihood,
    "ece": _calibration_error,
}
_MANY_LABELS: Final[Mapping[str, _Measure]] = {
    "mean_average_precision": partial(macro, metric=average_precision),
    "micro_average_precision": partial(micro, metric=average_precision),
    **{
        key: partial(macro, metric=average_precision, group=key)
        for key in ("head", "medium", "tail")
    },
    "auroc": partial(macro, metric=auroc),
    "nll": negative_log_likelihood,
    "ece": _calibration_error,
}
