"""Figures of the training by epoch, and of the gain of each loss against p."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from taylored.lab.report.figures.lines import Line, Panel, panels
from taylored.lab.report.figures.palette import strokes
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.trial_result import validation_key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAIN_CEILING = 4.0
"""Gains above this leave the panel: one steep loss must not flatten the others to a line."""


def training(results: Results) -> list[Panel]:
    """The metric on the validation part by epoch, mean over the folds."""
    metric = primary_of(results)
    lines = []
    for loss, stroke in strokes(results.losses):
        epochs, values = _mean_curve(loss, validation_key(metric.key))
        if epochs and loss.role != "free":
            lines.append(Line(loss, stroke, epochs, [v * metric.scale for v in values]))

    def decorate(ax: Axes, small: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        ax.set_xlabel("epoch")
        percent = ", %" if metric.scale == 100 else ""
        ax.set_ylabel(f"validation{percent}" if small else f"validation {metric.label}{percent}")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if small else 9))
        _share_y(ax, lines)

    label = f"Validation {metric.label} by epoch, mean over folds"
    return panels(lines, "training", label, decorate)


def gains(results: Results) -> list[Panel]:
    """Gain of each loss: the size of its gradient relative to the baseline."""
    truth = task_of(results).truth
    lines = [
        Line(loss, stroke, loss.gain.p, loss.gain.g)
        for loss, stroke in strokes(results.losses)
        if loss.gain is not None and loss.role != "free"
    ]
    if all(line.loss.role == "baseline" for line in lines):
        return []
    highest = max(max(line.y) for line in lines)
    lowest = min(min(line.y) for line in lines)

    def decorate(ax: Axes, small: bool) -> None:
        ax.set_xlim(0, 1)
        ax.set_ylim(min(0.0, max(lowest, -GAIN_CEILING)), min(highest, GAIN_CEILING) * 1.06 + 0.02)
        ax.set_xlabel(f"p of {truth}" if small else f"p, probability of {truth}")
        ax.set_ylabel("gain")

    return panels(lines, "gain", f"Gain against the probability of {truth}", decorate)


def _mean_curve(loss: LossResult, key: str) -> tuple[list[int], list[float]]:
    by_epoch: dict[int, list[float]] = {}
    for trial in loss.worked:
        for row in trial.curve:
            if key in row:
                by_epoch.setdefault(int(row["epoch"]), []).append(row[key])
    epochs = sorted(by_epoch)
    return epochs, [math.fsum(by_epoch[e]) / len(by_epoch[e]) for e in epochs]


def _share_y(ax: Axes, lines: Sequence[Line]) -> None:
    """The same limits in every panel, so that panels can be compared."""
    values = [value for line in lines for value in line.y]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.01 * (abs(high) or 1)
    ax.set_ylim(low - margin, high + margin)
