"""Which metrics the tables show, in which order."""

from collections.abc import Sequence
from typing import Final

from taylored.lab.data import GROUPS
from taylored.lab.metrics import Metric
from taylored.lab.results import Results
from taylored.lab.tasks import primary_of, task_of

MANY_CLASSES: Final = (
    "balanced_accuracy", "accuracy", *GROUPS, "auroc", "nll", "ece",
)  # fmt: skip
TWO_CLASSES: Final = (
    "balanced_accuracy", "accuracy", "auroc", "average_precision", "macro_f1", "mcc", "nll", "ece",
)  # fmt: skip
MANY_LABELS: Final = (
    "mean_average_precision", "micro_average_precision", *GROUPS, "auroc", "nll", "ece",
)  # fmt: skip
RECALIBRATED: Final = ("nll", "ece")
"""Metrics that are taken from probabilities after recalibration."""


def is_binary(results: Results) -> bool:
    """Whether every row has one of two classes."""
    return results.dataset.task == "single-label" and results.dataset.classes == 2


def has_groups(results: Results) -> bool:
    """Whether head, medium and tail mean anything: not for two classes."""
    return not is_binary(results)


def columns(results: Results) -> list[Metric]:
    """The metrics of the tables, that of the verdict first; those that nobody has are left out."""
    return [primary_of(results), *other_columns(results)]


def other_columns(results: Results) -> list[Metric]:
    """The metrics of the tables besides that of the verdict."""
    task, primary = task_of(results), primary_of(results)
    wanted = TWO_CLASSES if is_binary(results) else _of_task(task.name)
    return [
        task.metrics[key]
        for key in wanted
        if key != primary.key and any(loss.metrics.get(key) is not None for loss in results.losses)
    ]


def _of_task(name: str) -> Sequence[str]:
    return MANY_LABELS if name == "multi-label" else MANY_CLASSES
