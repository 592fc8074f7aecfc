"""The rows of the report's tables, as texts."""

from dataclasses import dataclass

from taylored.lab.judgement.words import gains as improves
from taylored.lab.metrics import Metric
from taylored.lab.report.figures.palette import strokes
from taylored.lab.report.table import interval_text
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.trial_result import Role
from taylored.lab.wording import p_text, typeset

MOST_CLASSES = 200
"""Rows of the per-class table; the full numbers are in the embedded results."""


@dataclass(frozen=True)
class MetricCell:
    """One metric of one loss; `mark` is "better", "worse" or empty."""

    label: str
    value: str
    deviation: str
    mark: str
    best: bool


@dataclass(frozen=True)
class LossRow:
    """One loss: a cell per metric, then the difference in the primary metric."""

    name: str
    role: Role
    colour: str
    cells: tuple[MetricCell, ...]
    difference: str
    interval: str
    p: str
    word: str
    diverged: int
    trials: int


@dataclass(frozen=True)
class ClassRow:
    """One class: its training samples, its group, and its score under each loss."""

    name: str
    count: int
    group: str
    scores: tuple[str, ...]


@dataclass(frozen=True)
class ClassTable:
    """The most frequent classes in rows, the losses in columns, and the number of all classes."""

    losses: tuple[str, ...]
    rows: tuple[ClassRow, ...]
    total: int


def loss_rows(results: Results) -> list[LossRow]:
    """One row per loss."""
    task, primary = task_of(results), primary_of(results)
    best = {key: _best(results, metric) for key, metric in task.metrics.items()}
    rows = []
    for loss, stroke in strokes(results.losses):
        found = None if loss.versus_baseline is None else loss.versus_baseline[primary.key]
        rows.append(
            LossRow(
                name=loss.name,
                role=loss.role,
                colour=stroke.colour.variable,
                cells=tuple(_cell(loss, metric, best[key]) for key, metric in task.metrics.items()),
                difference=typeset(primary.difference(found.difference)) if found else "",
                interval=typeset(interval_text(found, primary)) if found else "",
                p=p_text(found.p_corrected) if found else "",
                word="failed" if loss.failed else loss.verdict or "reference",
                diverged=loss.diverged,
                trials=len(loss.trials),
            )
        )
    return rows


def _cell(loss: LossResult, metric: Metric, best: str | None) -> MetricCell:
    deviation = loss.spread[metric.key]
    mark = ""
    if (
        loss.versus_baseline is not None
        and (found := loss.versus_baseline[metric.key]).beyond_noise
    ):
        mark = "better" if improves(found, metric) else "worse"
    return MetricCell(
        label=metric.short,
        value=metric.value(loss.metrics[metric.key]),
        deviation="" if deviation is None else f"± {metric.value(deviation)}",
        mark=mark,
        best=loss.name == best,
    )


def _best(results: Results, metric: Metric) -> str | None:
    """Name of the best loss in a column, if it is better than the baseline beyond noise."""
    means = {
        loss.name: metric.direction * mean
        for loss in results.losses
        if loss.role == "candidate"
        and (found := loss.against_baseline(metric.key)).beyond_noise
        and improves(found, metric)
        and (mean := loss.metrics[metric.key]) is not None
    }
    return max(means, key=means.__getitem__, default=None)


def class_table(results: Results) -> ClassTable:
    """Mean score of each class under each loss, most frequent class first."""
    task, dataset = task_of(results), results.dataset
    losses = [loss for loss in results.losses if loss.role != "free"]
    scores = [loss.class_scores or (None,) * len(dataset.class_names) for loss in losses]
    counts = dataset.train_counts
    order = sorted(range(len(counts)), key=lambda index: -counts[index])
    rows = tuple(
        ClassRow(
            name=dataset.class_names[index],
            count=counts[index],
            group=dataset.groups[index],
            scores=tuple(task.metrics["head"].value(values[index]) for values in scores),
        )
        for index in order[:MOST_CLASSES]
    )
    return ClassTable(tuple(loss.name for loss in losses), rows, len(counts))
