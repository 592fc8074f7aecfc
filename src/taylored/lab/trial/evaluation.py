"""What is measured on logits, by task."""

from collections.abc import Collection, Sequence

from torch import Tensor

from taylored.lab.data import TaskName
from taylored.lab.trial.average_precision import (
    element_calibration,
    micro,
    precision_list,
    precisions,
)
from taylored.lab.trial.metrics import accuracies, calibration, recall_list

_LIKELIHOODS = frozenset(("nll", "ece"))


def measure(
    task: TaskName,
    logits: Tensor,
    labels: Tensor,
    groups: Sequence[str],
    link: str,
    wanted: Collection[str],
) -> dict[str, float | None]:
    """The wanted metrics, in that order; what costs more is computed only if it is wanted."""
    if task == "single-label":
        values = accuracies(logits, labels, groups)
        if _LIKELIHOODS.intersection(wanted):
            values |= calibration(logits, labels, link)
    else:
        values = precisions(logits, labels, groups)
        if "micro_average_precision" in wanted:
            values |= micro(logits, labels)
        if _LIKELIHOODS.intersection(wanted):
            values |= element_calibration(logits, labels)
    return {name: values[name] for name in wanted}


def per_class(
    task: TaskName, logits: Tensor, labels: Tensor, num_classes: int
) -> dict[str, list[float | None] | None]:
    """One number per class, under the name that the task has for it."""
    if task == "single-label":
        return {"recall": recall_list(logits, labels, num_classes), "average_precision": None}
    return {"recall": None, "average_precision": precision_list(logits, labels)}
