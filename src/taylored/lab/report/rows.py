"""The rows of the report's tables, as texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taylored.lab.report.class_scores import mean_scores
from taylored.lab.report.palette import strokes
from taylored.lab.report.table import interval_text
from taylored.lab.tasks import task_of
from taylored.lab.verdict.sentences import improves
from taylored.lab.wording import Metric, p_text

MOST_CLASSES = 200
"""Rows of the per-class table; the full numbers are in the embedded results."""


def loss_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per loss: a cell per metric, then the difference in the primary metric."""
    task = task_of(results)
    primary = task.metrics[results["primary_metric"]]
    entries = results["losses"]
    best = {key: _best(results, metric) for key, metric in task.metrics.items()}
    rows = []
    for entry, stroke in zip(entries, strokes(entries), strict=True):
        cell = entry["versus_baseline"][primary.key] if entry["versus_baseline"] else None
        rows.append(
            {
                "name": entry["name"],
                "role": entry["role"],
                "formula": entry["formula"],
                "colour": stroke.colour.variable,
                "cells": [
                    _cell(entry, metric, entry["name"] == best[key])
                    for key, metric in task.metrics.items()
                ],
                "difference": _typeset(primary.difference(cell["difference"])) if cell else "",
                "interval": _typeset(interval_text(cell, primary)) if cell else "",
                "p": p_text(cell["p_corrected"]) if cell else "",
                "word": entry["verdict"] or "reference",
                "diverged": entry["diverged"],
                "trials": len(entry["trials"]),
            }
        )
    return rows


def _cell(entry: Mapping[str, Any], metric: Metric, best: bool) -> dict[str, Any]:
    versus = entry["versus_baseline"]
    change = versus[metric.key] if versus else None
    deviation = entry["standard_deviation"][metric.key]
    mark = ""
    if change is not None and change["beyond_noise"]:
        mark = "better" if improves(change, metric) else "worse"
    return {
        "label": metric.short,
        "value": metric.value(entry["mean"][metric.key]),
        "deviation": "" if deviation is None else f"± {metric.value(deviation)}",
        "mark": mark,
        "best": best,
    }


def _typeset(numbers: str) -> str:
    return numbers.replace("-", "\N{MINUS SIGN}")


def _best(results: Mapping[str, Any], metric: Metric) -> str | None:
    """Name of the best loss in a column, if it is better than the baseline beyond noise."""
    better = [
        entry
        for entry in results["losses"]
        if entry["role"] == "candidate"
        and entry["versus_baseline"][metric.key]["beyond_noise"]
        and improves(entry["versus_baseline"][metric.key], metric)
    ]
    if not better:
        return None
    return str(max(better, key=lambda e: metric.direction * e["mean"][metric.key])["name"])


def class_rows(results: Mapping[str, Any]) -> dict[str, Any]:
    """Mean score of each class under each loss, most frequent class first."""
    task, dataset = task_of(results), results["dataset"]
    names = dataset.get("class_names") or []
    counts = dataset.get("train_counts") or []
    groups = dataset.get("groups") or [""] * len(names)
    entries = [entry for entry in results["losses"] if entry["role"] != "control"]
    scores = [mean_scores(entry, task.per_class, len(names)) for entry in entries]
    order = sorted(range(len(names)), key=lambda index: -counts[index])
    rows = [
        {
            "name": names[index],
            "count": counts[index],
            "group": groups[index],
            "scores": [task.metrics["head"].value(values[index]) for values in scores],
        }
        for index in order[:MOST_CLASSES]
    ]
    return {"losses": [entry["name"] for entry in entries], "rows": rows, "total": len(names)}
