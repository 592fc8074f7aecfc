"""What a reader needs to repeat the run: data set card, settings, versions."""

import json
from collections.abc import Mapping
from pathlib import Path

from taylored.lab.metrics import Metric
from taylored.lab.records import to_json
from taylored.lab.results import Results
from taylored.lab.run_config import DatasetSummary
from taylored.lab.tasks import TASKS, Task, primary_of, task_of
from taylored.lab.trial_result import LearningRates
from taylored.lab.wording import plural, plural_of

MOST_DROPPED = 12
"""Classes that were left out and are named; of more the rest is counted."""


def dataset_card(results: Results) -> list[tuple[str, str]]:
    """Names and values of the data set card; what the card does not say is left out."""
    return card_of(results.dataset)


def card_of(data: DatasetSummary) -> list[tuple[str, str]]:
    """The card of a data set, for a page of any kind."""
    noun = TASKS[data.task].noun
    rows = [
        ("what it is", data.description),
        ("source", data.source),
        ("licence", data.licence),
        ("how to cite", data.citation),
        ("samples", _thousands_apart(data.samples)),
        (plural_of(noun), _thousands_apart(data.classes)),
        (f"largest {noun}", _thousands_apart(data.largest_class)),
        (f"smallest {noun}", _thousands_apart(data.smallest_class)),
        ("groups", data.group_rule),
        ("parts", data.split),
        ("fingerprint", data.fingerprint),
    ]
    if data.dropped:
        shown = ", ".join(f"{name} ({count})" for name, count in data.dropped[:MOST_DROPPED])
        more = len(data.dropped) - MOST_DROPPED
        listed = f"{shown} and {more} more" if more > 0 else shown
        dropped = f"{plural(len(data.dropped), noun)}: {listed}"
        rows.append((f"left out, {data.dropped_reason}", dropped))
    rows += [("note", note) for note in data.notes]
    return [(name, value) for name, value in rows if value]


def settings(results: Results) -> list[tuple[str, str]]:
    """The configuration of the run, the learning rates tried and the statistics, as text."""
    config = to_json(results.config)
    given = results.config.reading.given()
    statistics = results.statistics
    return [
        *(
            (key.replace("_", " "), _as_text(config[key]))
            for key in sorted(config)
            if config[key] is not None and key not in ("learning_rate", "reading")
        ),
        *(("reading", f"{name} {_as_text(value)}") for name, value in given.items()),
        *_learning_rate(results.learning_rate, task_of(results), primary_of(results)),
        ("test", statistics.test),
        ("folds", str(statistics.folds)),
        ("correction", statistics.correction),
    ]


def _learning_rate(rate: LearningRates, task: Task, metric: Metric) -> list[tuple[str, str]]:
    how = {
        "cross_entropy": f"tuned for {task.reference}",
        "each": "tuned for each loss",
        "fixed": "given",
    }
    rates = ", ".join(f"{name} {value:g}" for name, value in rate.chosen.items())
    rows = [("learning rate", f"{rates}; {how[rate.tuned]}")]
    if rate.tuned_decay:
        decays = ", ".join(f"{name} {value:g}" for name, value in rate.decays.items())
        rows.append(("chosen weight decay", f"{decays}; tuned with the learning rate"))
    tried: dict[str, list[str]] = {}
    for found in rate.candidates:
        value = metric.value(found.validation)
        decay = f", decay {found.weight_decay:g}" if rate.tuned_decay else ""
        tried.setdefault(found.loss, []).append(f"{found.learning_rate:g}{decay} ({value})")
    rows += [(f"rates tried, {name}", ", ".join(values)) for name, values in tried.items()]
    return [*rows, ("in brackets", f"validation {metric.label}")] if tried else rows


def recorded_versions(folder: Path | None) -> list[tuple[str, str]]:
    """Versions recorded in the run folder; nothing when there is no folder."""
    path = folder / "versions.json" if folder else None
    if path is None or not path.is_file():
        return []
    recorded = json.loads(path.read_text(encoding="utf-8"))
    return [(str(name), _as_text(recorded[name])) for name in sorted(recorded)]


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)


def _thousands_apart(number: int) -> str:
    return f"{number:,}".replace(",", "\N{THIN SPACE}")
