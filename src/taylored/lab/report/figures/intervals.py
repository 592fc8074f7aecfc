"""Figures of the differences to the baseline: one interval per loss, the control as noise floor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taylored.lab.metrics import Metric
from taylored.lab.report.figures.palette import BAND, INK, MUTED, PAGE, Colour, strokes
from taylored.lab.report.figures.svg import blank, house_style, inline
from taylored.lab.results import Difference, LossResult, Results
from taylored.lab.tasks import Task, primary_of, task_of
from taylored.lab.wording import printable, shorten, typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW = 38


@dataclass(frozen=True)
class Layout:
    """The id and width of the figure, the characters of a name, and whether numbers have room."""

    name: str
    width: int
    name_width: int
    numbers: bool


WIDE = Layout("differences", 480, 46, numbers=True)
NARROW = Layout("differences-narrow", 340, 44, numbers=False)


def plot_differences(results: Results, ax: Axes | None = None) -> tuple[Figure | SubFigure, Axes]:
    """Draw the differences in the primary metric on ``ax``, or on a new figure."""
    with house_style():
        if ax is None:
            from matplotlib import pyplot

            size = (7, 0.55 * max(1, len(_rows(results))) + 0.9)
            _, ax = pyplot.subplots(figsize=size, layout="constrained", facecolor=PAGE.light)
        _draw_differences(ax, results, WIDE)
    return ax.figure, ax


def differences_svg(results: Results, layout: Layout) -> str:
    """The same as inline SVG; empty when there is nothing to compare."""
    rows = _rows(results)
    if not rows:
        return ""
    task, metric = task_of(results), primary_of(results)
    with house_style():
        height = ROW * len(rows) + 48
        figure = blank(layout.width, height)
        side = 8 / layout.width
        ax = figure.add_axes((side, 44 / height, 1 - 2 * side, 1 - 48 / height))
        _draw_differences(ax, results, layout)
        said = ", ".join(
            f"{_label(loss, task)} {_interval_text(loss.against_baseline(metric.key), metric)}"
            for loss, _ in rows
        )
        label = f"Differences to {task.reference} in {metric.label}: {said}"
        return inline(figure, layout.name, label)


def parts_svg(results: Results) -> list[tuple[LossResult, str]]:
    """Per candidate a small figure: what changed overall and in head, medium and tail classes."""
    rows = [(loss, colour) for loss, colour in _rows(results) if loss.role == "candidate"]
    task = task_of(results)
    keys = (task.overall, "head", "medium", "tail")
    metrics = [task.metrics[key] for key in keys]
    reach = _difference_reach(loss.against_baseline(key) for loss, _ in rows for key in keys)
    figures = []
    with house_style():
        for index, (loss, colour) in enumerate(rows):
            figure = blank(300, 150)
            ax = figure.add_axes((0.2, 0.2, 0.77, 0.78))
            for y, metric in enumerate(metrics):
                _draw_interval(ax, y, loss.against_baseline(metric.key), metric, colour)
            _frame(ax, len(metrics), reach)
            ax.set_yticks(range(len(metrics)), [metric.short for metric in metrics])
            ax.tick_params(axis="y", length=0)
            said = ", ".join(
                f"{metric.short} {_interval_text(loss.against_baseline(metric.key), metric)}"
                for metric in metrics
            )
            label = f"Differences of {_label(loss, task)} to {task.reference}: {said}"
            figures.append((loss, inline(figure, f"parts{index}", label)))
    return figures


def _rows(results: Results) -> list[tuple[LossResult, Colour]]:
    """Losses with a comparison and their colours, the control last."""
    rows = [
        (loss, stroke.colour)
        for loss, stroke in strokes(results.losses)
        if loss.versus_baseline is not None
    ]
    return sorted(rows, key=lambda row: row[0].role == "free")


def _draw_differences(ax: Axes, results: Results, layout: Layout) -> None:
    task, metric = task_of(results), primary_of(results)
    rows = _rows(results)
    reach = _difference_reach((loss.against_baseline(metric.key) for loss, _ in rows), metric.scale)
    for y, (loss, colour) in enumerate(rows):
        found = loss.against_baseline(metric.key)
        if loss.role == "free" and found.low is not None and found.high is not None:
            low, high = found.low * metric.scale, found.high * metric.scale
            ax.axvspan(low, high, color=BAND.light, linewidth=0, zorder=0)
        _draw_interval(ax, y, found, metric, colour)
        quiet = MUTED.light if loss.role == "free" else INK.light
        edge = ax.get_yaxis_transform()
        label = _label(loss, task)
        if loss.role != "free":
            label = shorten(label, layout.name_width)
        ax.text(0, y - 0.36, label, transform=edge, color=quiet, va="center")
        if layout.numbers or found.low is None:
            text = typeset(_interval_text(found, metric))
            ax.text(1, y - 0.36, text, transform=edge, color=MUTED.light, va="center", ha="right")
    _frame(ax, len(rows), reach)
    ax.set_ylim(len(rows) - 0.6, -0.65)
    ax.set_yticks([])
    ax.grid(visible=False)
    unit = ", percentage points" if metric.scale == 100 else ""
    ax.set_xlabel(f"difference in {metric.label}{unit}")


def _draw_interval(ax: Axes, y: float, found: Difference, metric: Metric, colour: Colour) -> None:
    if found.difference is None:
        return
    if found.low is not None and found.high is not None:
        ends = [found.low * metric.scale, found.high * metric.scale]
        ax.plot(ends, [y, y], color=colour.light, linewidth=2.2, zorder=2)
    fill = colour if found.beyond_noise else PAGE
    ax.plot(
        [found.difference * metric.scale],
        [y],
        linestyle="none",
        color=colour.light,
        marker="o",
        markersize=7.5,
        markeredgewidth=1.8,
        markeredgecolor=colour.light,
        markerfacecolor=fill.light,
        zorder=3,
    )


def _frame(ax: Axes, rows: int, reach: tuple[float, float]) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.axvline(0, color=MUTED.light, linewidth=1.1, zorder=1)
    ax.set_xlim(*reach)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="x", length=0)
    ax.xaxis.set_major_formatter(_signed)


def _signed(value: float, _: object) -> str:
    return typeset(f"{value:+g}") if abs(value) > 1e-9 else "0"


def _difference_reach(differences: Iterable[Difference], scale: int = 100) -> tuple[float, float]:
    """Limits of the axis: every interval and zero, with a margin; never a collapsed axis."""
    known = [
        number * scale
        for found in differences
        for number in (found.difference, found.low, found.high)
        if number is not None
    ]
    low, high = min([0.0, *known]), max([0.0, *known])
    margin = max(0.06 * (high - low), 0.005 * scale)
    return low - margin, high + margin


def _label(loss: LossResult, task: Task) -> str:
    if loss.role == "free":
        return f"noise floor: {task.reference} against itself"
    return printable(loss.name)


def _interval_text(found: Difference, metric: Metric) -> str:
    if found.difference is None:
        return "diverged"
    if found.low is None:
        return f"{metric.difference(found.difference)}, no interval"
    low, high = metric.difference(found.low), metric.difference(found.high)
    return f"{metric.difference(found.difference)}  [{low}, {high}]"
