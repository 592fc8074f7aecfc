"""The figure of a panel: one line for each series, with intervals where there are any."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from taylored.analysis.palette import MUTED, SERIES
from taylored.lab.report.figures.lines import LARGE, panel_axes
from taylored.lab.report.figures.svg import house_style, inline
from taylored.lab.wording import printable, typeset
from taylored.studies.records import Panel, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_TICKS = 16
_WIDTH, _LINES = 17, 3
"""Characters and lines of the name below a tick."""


def panel_svg(panel: Panel, name: str) -> str:
    """The panel as inline SVG: differences where it has a reference, else values."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    lines = series_of(panel)
    with house_style():
        figure, ax = panel_axes(LARGE)
        for number, points in enumerate(lines.values()):
            _draw(ax, points, panel, SERIES[number % len(SERIES)].light)
        if panel.scale == "log":
            ax.set_xscale("log")
        level = 0.0 if panel.reference else panel.level
        if level is not None:
            ax.axhline(level * panel.quantity.scale, color=MUTED.light, linewidth=1.1, zorder=1)
        places = {point.x: point.label for points in lines.values() for point in points}
        if panel.scale != "linear" and len(places) <= _MOST_TICKS:
            ax.xaxis.set_major_locator(FixedLocator(sorted(places)))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _nearest(places, x)))
        ax.tick_params(length=0)
        # Long names, below each other, take the room of the label, which says no more.
        long = panel.scale == "names" and any(len(label) > _WIDTH for label in places.values())
        ax.set_xlabel("" if long else panel.axis)
        unit = ", %" if panel.quantity.scale == 100 else ""
        if panel.reference:
            ax.set_ylabel(printable(f"{panel.quantity.unit} over {panel.reference}"))
        else:
            ax.set_ylabel(printable(f"{panel.quantity.label}{unit}"))
        return inline(figure, name, printable(_said(panel)))


def series_of(panel: Panel) -> dict[str, list[Point]]:
    """The points that are drawn, by the name of their line; a reference is the line of zero."""
    lines: dict[str, list[Point]] = {}
    for point in panel.points:
        drawn = point.difference is not None if panel.reference else point.value is not None
        if drawn:
            lines.setdefault(point.series, []).append(point)
    return lines


def _draw(ax: Axes, points: list[Point], panel: Panel, colour: str) -> None:
    scale = panel.quantity.scale
    x = [point.x for point in points]
    if not panel.reference:
        y = [point.value * scale for point in points if point.value is not None]
        marker = "" if len(points) > _MOST_TICKS else "o"
        width = 0.0 if panel.scale == "names" else 2.2
        ax.plot(x, y, color=colour, linewidth=width, marker=marker, markersize=6, zorder=3)
        return
    effects = [point.difference for point in points if point.difference is not None]
    if panel.scale != "names":
        values = [effect.value * scale for effect in effects]
        ax.plot(x, values, color=colour, linewidth=1.4, zorder=2)
    for place, effect in zip(x, effects, strict=True):
        if effect.low is not None and effect.high is not None:
            ends = [effect.low * scale, effect.high * scale]
            ax.plot([place, place], ends, color=colour, linewidth=2.2, zorder=2)
        beyond = effect.low is not None and effect.high is not None
        beyond = beyond and (effect.low or 0.0) * (effect.high or 0.0) > 0
        ax.plot(
            [place],
            [effect.value * scale],
            linestyle="none",
            marker="o",
            markersize=7,
            markeredgewidth=1.8,
            color=colour,
            markerfacecolor=colour if beyond else "none",
            markeredgecolor=colour,
            zorder=3,
        )


def _nearest(places: dict[float, str], x: float) -> str:
    label = printable(typeset(places[min(places, key=lambda each: abs(each - x))]))
    return "\n".join(wrap(label, _WIDTH)[:_LINES])


def _said(panel: Panel) -> str:
    """What the figure shows, for readers who do not see it."""
    told = []
    for name, points in series_of(panel).items():
        numbers = ", ".join(
            f"{point.label} {panel.quantity.signed(point.difference.value)}"
            if point.difference is not None
            else f"{point.label} {panel.quantity.value(point.value)}"
            for point in points[:_MOST_TICKS]
        )
        told.append(f"{name}: {numbers}")
    return f"{panel.title}. {'; '.join(told)}"


def colours(panel: Panel) -> list[tuple[str, str]]:
    """The names of the lines, with the CSS variable of each; none for a single line."""
    names = [*series_of(panel)]
    if len(names) < 2:
        return []
    hues = [SERIES[number % len(SERIES)] for number in range(len(names))]
    return [(name, hue.variable) for name, hue in zip(names, hues, strict=True)]
