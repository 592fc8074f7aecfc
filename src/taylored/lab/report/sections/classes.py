"""The score of each class under each loss, with what the few rows of a class leave open."""

from dataclasses import dataclass
from typing import Final

from taylored.lab.metrics import Metric
from taylored.lab.results import Results
from taylored.lab.statistics.share import wilson
from taylored.lab.tasks import task_of
from taylored.lab.wording import MISSING

MOST_CLASSES: Final = 200
"""Rows of the per-class table; the full numbers are in the embedded results."""
MOST_CELLS: Final = 1000
"""With more losses fewer classes are listed, so that the table keeps its size."""


@dataclass(frozen=True)
class ClassScore:
    """The score of a class under one loss, and its interval where it is a share of rows."""

    value: str
    interval: str


@dataclass(frozen=True)
class ClassRow:
    """One class: its training samples, its tested rows, its group, its scores."""

    name: str
    count: int
    tested: int
    group: str
    scores: tuple[ClassScore, ...]


@dataclass(frozen=True)
class ClassTable:
    """The most frequent classes in rows, the losses in columns, and the number of all classes."""

    losses: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    total: int


def class_table(results: Results) -> ClassTable:
    """Score of each class under each loss, most frequent class first.

    Recalls have Wilson intervals by the rows of the class, each counted once however often it was
    tested: they hold what sampling alone leaves open, and nothing of how trainings vary.
    """
    dataset = results.dataset
    losses = [loss for loss in results.losses if loss.role != "free"]
    scores = [loss.class_scores or (None,) * len(dataset.class_names) for loss in losses]
    counts = dataset.train_counts
    order = sorted(range(len(counts)), key=lambda index: -counts[index])
    most = min(MOST_CLASSES, MOST_CELLS // max(len(losses), 1))
    metric = task_of(results).metrics["head"]
    shares = dataset.task == "single-label"
    rows = tuple(
        ClassRow(
            name=dataset.class_names[index],
            count=counts[index],
            tested=dataset.tested_counts[index],
            group=dataset.groups[index],
            scores=tuple(
                _score(values[index], dataset.tested_counts[index] if shares else 0, metric)
                for values in scores
            ),
        )
        for index in order[:most]
    )
    return ClassTable(tuple(loss.name for loss in losses), rows, len(counts))


def _score(share: float | None, rows: int, metric: Metric) -> ClassScore:
    if share is None or rows < 1:
        return ClassScore(MISSING if share is None else metric.value(share), "")
    low, high = wilson(min(max(share, 0.0), 1.0), rows)
    return ClassScore(metric.value(share), f"{100 * low:.0f} to {100 * high:.0f}")
