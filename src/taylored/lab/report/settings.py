"""What a reader needs to repeat the run: data set card, settings, versions, command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taylored.lab.tasks import Task, task_of
from taylored.lab.wording import Metric, plural, plural_of

CARD = (
    ("description", "what it is"),
    ("source", "source"),
    ("licence", "licence"),
    ("citation", "how to cite"),
    ("samples", "samples"),
    ("classes", "{nouns}"),
    ("largest_class", "largest {noun}"),
    ("smallest_class", "smallest {noun}"),
    ("group_rule", "groups"),
    ("split", "parts"),
    ("fingerprint", "fingerprint"),
)


def dataset_card(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the data set card; what the card does not say is left out."""
    dataset, noun = results["dataset"], task_of(results).noun
    rows = [
        (label.format(noun=noun, nouns=plural_of(noun)), _grouped(dataset[key]))
        for key, label in CARD
        if dataset.get(key) not in (None, "", [], ())
    ]
    dropped = dataset.get("dropped") or []
    if dropped:
        shown = ", ".join(f"{name} ({count})" for name, count in dropped[:12])
        more = f" and {len(dropped) - 12} more" if len(dropped) > 12 else ""
        reason = dataset.get("dropped_reason") or "no reason recorded"
        rows.append((f"left out, {reason}", f"{plural(len(dropped), noun)}: {shown}{more}"))
    rows += [("note", str(note)) for note in dataset.get("notes") or []]
    return rows


def settings(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The configuration of the run, the learning rates tried and the statistics, as text."""
    task, config = task_of(results), results["config"]
    rows = [
        (key.replace("_", " "), _text(config[key]))
        for key in sorted(config)
        if config[key] is not None and key != "learning_rate"
    ]
    statistics = results["statistics"]
    return [
        *rows,
        *_learning_rate(results["learning_rate"], task, task.metrics[results["primary_metric"]]),
        ("test", statistics["test"]),
        ("test / training samples", f"{statistics['test_fraction_ratio']:.3g}"),
        ("correction", statistics["correction"]),
    ]


def _learning_rate(rate: Mapping[str, Any], task: Task, metric: Metric) -> list[tuple[str, str]]:
    how = {
        "cross_entropy": f"tuned for {task.reference}",
        "each": "tuned for each loss",
        "fixed": "given",
    }
    rows = [
        ("learning rate", f"{_text(rate.get('chosen'))}, {how.get(str(rate.get('tuned')), '')}")
    ]
    tried: dict[str, list[str]] = {}
    for candidate in rate.get("candidates") or []:
        value = metric.value(candidate["validation"])
        tried.setdefault(str(candidate["loss"]), []).append(
            f"{candidate['learning_rate']:g} ({value})"
        )
    rows += [(f"rates tried, {name}", ", ".join(values)) for name, values in tried.items()]
    return [*rows, ("in brackets", f"validation {metric.label}")] if tried else rows


def versions(folder: Path | None) -> list[tuple[str, str]]:
    """Versions noted in the run folder; nothing when there is no folder."""
    path = folder / "versions.json" if folder else None
    if path is None or not path.is_file():
        return []
    noted = json.loads(path.read_text(encoding="utf-8"))
    return [(str(name), _text(noted[name])) for name in sorted(noted)]


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def _grouped(value: object) -> str:
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else _text(value)
