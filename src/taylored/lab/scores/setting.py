"""Which metrics scores allow, and what is known about the training data behind them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import torch

from taylored.lab.data import class_groups, count_labels
from taylored.lab.errors import UsageError
from taylored.lab.measures import Tested
from taylored.lab.metrics import Metric
from taylored.lab.scores.described import Setting
from taylored.lab.scores.forms import Form
from taylored.lab.scores.read import Read
from taylored.lab.tasks import MULTI_LABEL, SINGLE_LABEL

Counts = npt.NDArray[np.int64]
Better = Literal["higher", "lower"]
ACCURACIES: Final = ("balanced_accuracy", "accuracy", "head", "medium", "tail")
_GROUPS: Final = ("head", "medium", "tail")
_KEYS: Final[Mapping[Form, tuple[str, ...]]] = {
    "correctness": ACCURACIES,
    "predictions": (*ACCURACIES, "macro_f1", "mcc"),
}
"""The metrics that decisions allow; logits allow all."""


def classes_of(read: Read) -> int:
    """The number of classes, or of labels; 0 where only numbers were given."""
    return 0 if read.numbers else next(iter(read.tested.values())).classes


def of_numbers(read: Read, metric: str | None, better: Better | None) -> Setting:
    """The one metric that the numbers are, by its name."""
    known = {**MULTI_LABEL.metrics, **SINGLE_LABEL.metrics}
    if metric is None:
        raise UsageError(
            "metric: say what the numbers are, as in metric='accuracy'. A name that the library "
            "does not know needs better='higher' or better='lower'."
        )
    values = np.concatenate(list(read.numbers.values()))
    if metric in known:
        primary = known[metric]
        wanted = "higher" if primary.direction > 0 else "lower"
        if better not in (None, wanted):
            raise UsageError(f"better: for {metric} {wanted} is better. Leave it out.")
        if primary.scale == 100 and (values.min() < 0 or values.max() > 1):
            raise UsageError(
                f"scores: {metric} is a share between 0 and 1, got {values.min():g} to "
                f"{values.max():g}. Divide percentages by 100."
            )
    elif better is None:
        raise UsageError(
            f"better: is more {metric} better? Say better='higher' or better='lower'. Known "
            f"without it: {', '.join(known)}."
        )
    else:
        share = bool(values.min() >= 0 and values.max() <= 1)
        direction = 1 if better == "higher" else -1
        scale, digits = (100, 1) if share else (1, 3)
        primary = Metric(metric, metric, metric, scale, digits, direction)
    key = primary.key
    task = replace(SINGLE_LABEL, metrics={key: primary}, overall=key, described=(key,))
    return Setting(read, replace(task, default_metric=key), primary)  # type: ignore[arg-type]


def of_rows(
    read: Read, metric: str | None, better: Better | None, counts: Counts | None
) -> Setting:
    """The metrics that the rows allow, and head, medium and tail where the counts are known."""
    if better is not None:
        raise UsageError("better: the metrics of rows are known. Leave it out.")
    tested = next(iter(read.tested.values()))
    task = MULTI_LABEL if tested.multi_label else SINGLE_LABEL
    keys = _KEYS.get(read.form, tuple(task.metrics))
    one_class = read.form == "correctness" and tested.class_counts.astype(bool).sum() < 2
    if one_class:  # no labels: every row counts alike
        keys = ("accuracy",)
    shares = _training_shares(tested, counts, folds_given=read.folds_given)
    groups = class_groups(_trained_on(tested) if counts is None else counts)
    if shares is None:
        keys = tuple(key for key in keys if key not in _GROUPS)
    metrics = {key: task.metrics[key] for key in keys}
    default = task.default_metric if task.default_metric in metrics else "accuracy"
    chosen = metric or default
    if chosen not in metrics or chosen == "ece":
        why = ""
        if chosen in task.metrics:
            why = {
                "logits": "" if chosen == "ece" else " It needs train_counts=.",
                "predictions": " It needs logits, or train_counts=.",
                "correctness": " It needs predicted classes or logits, labels=, or train_counts=.",
            }[read.form]
        raise UsageError(
            f"metric must be one of {', '.join(key for key in metrics if key != 'ece')} for these "
            f"scores, got {chosen!r}.{why}"
        )
    task = replace(
        task,
        metrics=metrics,
        default_metric=default,
        overall=task.overall if task.overall in metrics else chosen,
        described=tuple(key for key in task.described if key in metrics),
    )
    priors = None if shares is None else torch.from_numpy(shares).log()
    return Setting(read, task, metrics[chosen], groups, priors)


def _trained_on(tested: Tested) -> Counts:
    """Rows of each class outside of the first fold; of one test set, its own rows."""
    outside = tested.folds[0] != 0 if tested.fold_count > 1 else np.ones(tested.rows, np.bool_)
    return count_labels(tested.labels[outside], tested.classes)


def _training_shares(
    tested: Tested, counts: Counts | None, *, folds_given: bool
) -> npt.NDArray[np.float64] | None:
    """The share of each class in the training rows of every model, (R, K, C); None if unknown."""
    shape = (tested.repeats, tested.fold_count, tested.classes)
    if counts is not None and not tested.multi_label:
        return np.broadcast_to(counts / counts.sum(), shape).copy()
    if not folds_given:
        return None
    shares = np.empty(shape)
    for repeat, fold in np.ndindex(*shape[:2]):
        outside = tested.labels[tested.folds[repeat] != fold]
        shares[repeat, fold] = count_labels(outside, tested.classes) / len(outside)
    return shares
