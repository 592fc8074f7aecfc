"""The metrics and the scores per class of a task, from the outputs of a model and labels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import Tensor

from taylored.lab.data import Group, TaskName
from taylored.lab.trial.accuracy import accuracies, calibration, recall_list
from taylored.lab.trial.average_precision import (
    element_calibration,
    micro,
    precision_list,
    precisions,
)
from taylored.lab.trial.links import LossFunction
from taylored.modules.module import Loss

_LIKELIHOODS = frozenset(("nll", "ece"))


def logits_of(loss: LossFunction, outputs: Tensor) -> Tensor:
    """The logits as which the loss's paper reads outputs, which a loss of this library knows."""
    return loss.logits(outputs, prior=None) if isinstance(loss, Loss) else outputs


def measure(
    task: TaskName,
    logits: Tensor,
    labels: Tensor,
    groups: Sequence[Group],
    link: str,
    wanted: Collection[str],
) -> dict[str, float | None]:
    """The wanted metrics, in that order; the costly ones are computed only if they are wanted."""
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


@dataclass(frozen=True)
class ClassScores:
    """One number per class: recall, or average precision; the other is None."""

    recall: tuple[float | None, ...] | None = None
    average_precision: tuple[float | None, ...] | None = None


def per_class(task: TaskName, logits: Tensor, labels: Tensor, num_classes: int) -> ClassScores:
    """One number per class, under the name that the task has for it."""
    if task == "single-label":
        return ClassScores(recall=recall_list(logits, labels, num_classes))
    return ClassScores(average_precision=precision_list(logits, labels))
