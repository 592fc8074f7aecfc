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
from taylored.lab.measures.ranking import Ranking, auroc, average_precision
from taylored.lab.measures.tested import Decided, Tested


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
    plain = _MANY_LABELS if tested.multi_label else _ONE_CLASS
    known = metrics_of(tested)
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise ValueError(f"wanted must be of {', '.join(known)}, got {unknown[0]!r}")
    found: dict[str, Measured] = {}
    asked: dict[Ranking, dict[str, Group | None]] = {}
    for ranking, parts in (_RANKED_LABELS if tested.multi_label else _RANKED_CLASSES).items():
        if some := {key: part for key, part in parts.items() if key in wanted}:
            asked[ranking] = some
    if asked:
        means = macro(tested, groups, {each: [*parts.values()] for each, parts in asked.items()})
        for ranking, parts in asked.items():
            found |= dict(zip(parts, means[ranking], strict=True))
    return {key: found[key] if key in found else plain[key](tested, groups) for key in wanted}


def measure_decisions(
    decided: Decided, groups: Sequence[Group], wanted: Collection[str]
) -> dict[str, Measured]:
    """Metrics that need no more than the class that each row was taken for, as `measure`."""
    return {key: _DECISIONS[key](decided, groups) for key in wanted}


def metrics_of(tested: Tested) -> tuple[str, ...]:
    """The keys of all metrics that the task of these outputs has."""
    plain = _MANY_LABELS if tested.multi_label else _ONE_CLASS
    ranked = _RANKED_LABELS if tested.multi_label else _RANKED_CLASSES
    return (*plain, *(key for parts in ranked.values() for key in parts))


def _calibration_error(tested: Tested, _: Sequence[Group]) -> Measured:
    """The debiased calibration error, which is never tested."""
    nowhere = np.full((tested.repeats, tested.fold_count), np.nan)
    return Measured(calibration(tested).debiased, nowhere)


_Measure = Callable[[Tested, Sequence[Group]], Measured]


def _of_decisions(tested: Tested, groups: Sequence[Group], key: str) -> Measured:
    return _DECISIONS[key](tested.decided, groups)


_DECISIONS: Final[Mapping[str, Callable[[Decided, Sequence[Group]], Measured]]] = {
    **{
        key: partial(accuracy, metric=key)
        for key in ("balanced_accuracy", "accuracy", "head", "medium", "tail")
    },
    "macro_f1": partial(of_confusion, metric=macro_f1),
    "mcc": partial(of_confusion, metric=matthews),
}
_ONE_CLASS: Final[Mapping[str, _Measure]] = {
    **{key: partial(_of_decisions, key=key) for key in _DECISIONS},
    "nll": negative_log_likelihood,
    "ece": _calibration_error,
}
_RANKED_CLASSES: Final[Mapping[Ranking, Mapping[str, Group | None]]] = {
    auroc: {"auroc": None},
    average_precision: {"average_precision": None},
}
_MANY_LABELS: Final[Mapping[str, _Measure]] = {
    "micro_average_precision": partial(micro, metric=average_precision),
    "nll": negative_log_likelihood,
    "ece": _calibration_error,
}
_RANKED_LABELS: Final[Mapping[Ranking, Mapping[str, Group | None]]] = {
    average_precision: {
        "mean_average_precision": None,
        "head": "head",
        "medium": "medium",
        "tail": "tail",
    },
    auroc: {"auroc": None},
}
