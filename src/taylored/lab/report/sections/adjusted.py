"""Each loss after the adjustment of its own scores."""

from dataclasses import dataclass

from taylored.lab.metrics import Metric
from taylored.lab.report.columns import columns
from taylored.lab.report.rows import interval_text, probability_text
from taylored.lab.results import Results
from taylored.lab.tasks import primary_of
from taylored.lab.wording import typeset


@dataclass(frozen=True)
class AdjustedRow:
    """One loss: tau, its metrics as it comes and adjusted, the difference to the free reference."""

    name: str
    tau: str
    values: tuple[tuple[str, str], ...]
    difference: str
    interval: str
    probability: str


def adjusted_metrics(results: Results) -> list[Metric]:
    """The metrics that an adjustment changes and that somebody has."""
    found = [loss.adjusted for loss in results.losses if loss.adjusted is not None]
    return [
        metric
        for metric in columns(results)
        if any(each.metrics.get(metric.key) is not None for each in found)
    ]


def adjusted_rows(results: Results) -> list[AdjustedRow]:
    """One row per loss with an adjustment."""
    primary, metrics = primary_of(results), adjusted_metrics(results)
    return [
        AdjustedRow(
            name=loss.name,
            tau=typeset(f"{found.tau:g}"),
            values=tuple(
                (
                    metric.value(found.metrics.get(metric.key)),
                    metric.value(loss.metrics[metric.key]),
                )
                for metric in metrics
            ),
            difference=typeset(primary.difference(found.versus_free.difference)),
            interval=typeset(interval_text(found.versus_free, primary)),
            probability=probability_text(found.versus_free),
        )
        for loss in results.losses
        if (found := loss.adjusted) is not None
    ]
