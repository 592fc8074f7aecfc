"""What is drawn against epochs and against p: training curves and gain curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taylored.lab.report.lines import Line, Panel, panels
from taylored.lab.report.palette import strokes
from taylored.lab.tasks import task_of
from taylored.lab.wording import finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAIN_CEILING = 4.0
"""Gains above this leave the panel: one steep loss must not flatten the others to a line."""


def training(results: Mapping[str, Any]) -> list[Panel]:
    """The metric on the validation part by epoch, mean over the seeds."""
    task = task_of(results)
    metric = task.metrics[results["primary_metric"]]
    key = f"validation_{metric.key}"
    entries = results["losses"]
    if not any(
        key in row for entry in entries for trial in entry["trials"] for row in trial["curve"]
    ):
        metric = task.metrics[task.default_metric]
        key = f"validation_{metric.key}"
    lines = []
    for entry, stroke in zip(entries, strokes(entries), strict=True):
        epochs, values = _mean_curve(entry["trials"], key)
        if epochs and entry["role"] != "control":
            lines.append(Line(entry, stroke, epochs, [v * metric.scale for v in values]))

    def decorate(ax: Axes, small: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        ax.set_xlabel("epoch")
        percent = ", %" if metric.scale == 100 else ""
        ax.set_ylabel(f"validation{percent}" if small else f"validation {metric.label}{percent}")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if small else 9))
        _share_y(ax, lines)

    label = f"Validation {metric.label} by epoch, mean over seeds"
    return panels(lines, "training", label, decorate)


def gains(results: Mapping[str, Any]) -> list[Panel]:
    """Gain of each loss: the size of its gradient relative to the baseline."""
    truth = task_of(results).truth
    entries = results["losses"]
    lines = []
    for entry, stroke in zip(entries, strokes(entries), strict=True):
        if entry["gain"] is None or entry["role"] == "control":
            continue
        known = [
            (p, g)
            for p, g in zip(entry["gain"]["p"], entry["gain"]["g"], strict=True)
            if finite(p) is not None and finite(g) is not None
        ]
        if known:
            lines.append(Line(entry, stroke, [p for p, _ in known], [g for _, g in known]))
    if all(line.entry["role"] == "baseline" for line in lines):
        return []
    highest = max(max(line.y) for line in lines)
    lowest = min(min(line.y) for line in lines)

    def decorate(ax: Axes, small: bool) -> None:
        ax.set_xlim(0, 1)
        ax.set_ylim(min(0.0, max(lowest, -GAIN_CEILING)), min(highest, GAIN_CEILING) * 1.06 + 0.02)
        ax.set_xlabel(f"p of {truth}" if small else f"p, probability of {truth}")
        ax.set_ylabel("gain")

    return panels(lines, "gain", f"Gain against the probability of {truth}", decorate)


def _mean_curve(trials: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    by_epoch: dict[int, list[float]] = {}
    for trial in trials:
        for row in trial["curve"] if trial["status"] == "ok" else ():
            value = finite(row.get(key))
            if value is not None:
                by_epoch.setdefault(int(row["epoch"]), []).append(value)
    epochs = sorted(by_epoch)
    return epochs, [math.fsum(by_epoch[e]) / len(by_epoch[e]) for e in epochs]


def _share_y(ax: Axes, lines: Sequence[Line]) -> None:
    """The same limits in every panel, so that panels can be compared."""
    values = [value for line in lines for value in line.y]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.01 * (abs(high) or 1)
    ax.set_ylim(low - margin, high + margin)
