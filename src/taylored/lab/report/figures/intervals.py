"""Figures of the differences to a reference: one interval per loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from taylored.analysis.palette import INK, MUTED, PAGE, Colour
from taylored.lab.data import GROUPS
from taylored.lab.metrics import Metric
from taylored.lab.report.figures.palette import strokes
from taylored.lab.report.figures.svg import blank, house_style, inline
from taylored.lab.results import Difference, LossResult, Results
from taylored.lab.tasks import primary_of, task_of
from taylored.lab.wording import printable, shorten, typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ROW = 38


@dataclass(frozen=True)
class Layout:
    """The id and width of the figure, what to, and whether numbers have room beside the names.

    The reference is the baseline as it is, or the best that it reaches for nothing.
    """

    name: str
    width: int
    reference: Literal["baseline", "free"]
    numbers: bool


NAME_WIDTH: Final = 46
_BEHIND: Final[dict[str, object]] = {"facecolor": PAGE.light, "edgecolor": "none", "pad": 1.5}
WIDE: Final = Layout("differences", 480, "baseline", numbers=True)
NARROW: Final = Layout("differences-narrow", 340, "baseline", numbers=False)
WIDE_FREE: Final = Layout("differences-free", 480, "free", numbers=True)
NARROW_FREE: Final = Layout("differences-free-narrow", 340, "free", numbers=False)


def plot_differences(results: Results, ax: Axes | None = None) -> tuple[Figure | SubFigure, Axes]:
    """Draw the differences in the primary metric on ``ax``, or on a new figure."""
    rows = _rows(results, WIDE)
    with house_style():
        if ax is None:
            from matplotlib import pyplot

            size = (7, 0.55 * max(1, len(rows)) + 0.9)
            _, ax = pyplot.subplots(figsize=size, layout="constrained", facecolor=PAGE.light)
        _draw_differences(ax, results, rows, WIDE)
    return ax.figure, ax


def differences_svg(results: Results, layout: Layout) -> str:
    """The same as inline SVG; empty when there is nothing to compare."""
    rows = _rows(results, layout)
    if not rows:
        return ""
    metric = primary_of(results)
    with house_style():
        height = ROW * len(rows) + 48
        figure = blank(layout.width, height)
        side = 8 / layout.width
        ax = figure.add_axes((side, 44 / height, 1 - 2 * side, 1 - 48 / height))
        _draw_differences(ax, results, rows, layout)
        said = ", ".join(
            f"{shorten(printable(row.loss.name), 60)} {_interval_text(row.found, metric)}"
            for row in rows
        )
        reference = _reference(results, layout)
        label = f"Differences to {reference} in {metric.label}: {said}"
        return inline(figure, layout.name, label)


def parts_svg(results: Results) -> list[tuple[LossResult, str]]:
    """Per candidate a small figure: what changed overall and in head, medium and tail classes."""
    rows = [(row.loss, row.colour) for row in _rows(results, WIDE) if row.loss.role == "candidate"]
    task = task_of(results)
    keys = [
        key
        for key in (task.overall, *GROUPS)
        if any(loss.against_baseline(key).difference is not None for loss, _ in rows)
    ]
    if not keys:
        return []
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
            name = shorten(printable(loss.name), 60)
            label = f"Differences of {name} to {task.reference}: {said}"
            figures.append((loss, inline(figure, f"parts{index}", label)))
    return figures


@dataclass(frozen=True)
class _Row:
    """A loss with its difference to the reference of the figure."""

    loss: LossResult
    colour: Colour
    found: Difference


def _rows(results: Results, layout: Layout) -> list[_Row]:
    """Losses with a difference to the reference, those that are free first."""
    key = results.primary_metric
    rows = []
    for loss, stroke in strokes(results.losses):
        found = loss.versus_baseline if layout.reference == "baseline" else loss.versus_free
        if found is not None:
            rows.append(_Row(loss, stroke.colour, found[key]))
    return sorted(rows, key=lambda row: row.loss.role != "free")


def _reference(results: Results, layout: Layout) -> str:
    if layout.reference == "free":
        return shorten(printable(results.verdict.free), 60)
    return task_of(results).reference


def _draw_differences(ax: Axes, results: Results, rows: Sequence[_Row], layout: Layout) -> None:
    metric = primary_of(results)
    reach = _difference_reach((row.found for row in rows), metric.scale)
    for y, row in enumerate(rows):
        _draw_interval(ax, y, row.found, metric, row.colour)
        quiet = MUTED.light if row.loss.role == "free" else INK.light
        edge = ax.get_yaxis_transform()
        label = shorten(printable(row.loss.name), NAME_WIDTH)
        # On the colour of the page, which the line of zero does not cross.
        write = partial(ax.text, y=y - 0.36, transform=edge, va="center", bbox=_BEHIND)
        write(0, s=label, color=quiet)
        if layout.numbers or row.found.low is None:
            text = typeset(_interval_text(row.found, metric))
            write(1, s=text, color=MUTED.light, ha="right")
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


def _interval_text(found: Difference, metric: Metric) -> str:
    if found.difference is None:
        return "diverged"
    if found.identical:
        return "identical"
    if found.low is None:
        return f"{metric.difference(found.difference)}, no interval"
    low, high = metric.difference(found.low), metric.difference(found.high)
    return f"{metric.difference(found.difference)}  [{low}, {high}]"
