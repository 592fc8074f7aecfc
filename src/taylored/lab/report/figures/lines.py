"""Figures with one line per loss: few losses share a panel, of many each has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taylored.analysis.palette import NOISE
from taylored.lab.report.figures.palette import Stroke
from taylored.lab.report.figures.svg import blank, house_style, inline
from taylored.lab.results import LossResult
from taylored.lab.wording import printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOGETHER = 2
"""Up to this many candidates share one panel; more lines would hide each other."""

MOST_PALE = 12
"""Up to this many candidates each panel has the lines of all others, pale, behind its own."""

LARGE = (560, 320)
SMALL = (300, 200)


@dataclass(frozen=True)
class Line:
    """The line of one loss, and the points that it summarises, which are drawn faint."""

    loss: LossResult
    stroke: Stroke
    x: Sequence[float]
    y: Sequence[float]
    points: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Panel:
    """One SVG and the losses whose lines it explains."""

    svg: str
    shown: Sequence[Line]


def panels(
    lines: Sequence[Line], name: str, label: str, decorate: Callable[[Axes, bool], None]
) -> list[Panel]:
    """Draw the lines in one panel, or in one panel per candidate beside the baseline.

    Args:
        lines: the lines of baseline and candidates.
        name: prefix of the ids on the page.
        label: what the figure shows, for readers who do not see it.
        decorate: sets scales, limits and labels of an axes; told whether the panel is small.
    """
    candidates = [line for line in lines if line.loss.role == "candidate"]
    if not lines:
        return []
    with house_style():
        if len(candidates) <= TOGETHER:
            names = ", ".join(_shown_name(line) for line in lines)
            return [_panel(lines, (), LARGE, name, f"{label}: {names}", decorate)]
        baseline = [line for line in lines if line.loss.role == "baseline"]
        return [
            _panel(
                [*baseline, line],
                [other for other in candidates if other is not line]
                if len(candidates) <= MOST_PALE
                else (),
                SMALL,
                f"{name}{index}",
                f"{label}: {_shown_name(line)} beside {_shown_name(baseline[0])}"
                if baseline
                else label,
                decorate,
            )
            for index, line in enumerate(candidates)
        ]


def panel_axes(size: tuple[int, int]) -> tuple[Figure, Axes]:
    """An empty figure of the size with axes that leave room for their labels."""
    width, height = size
    figure = blank(width, height)
    left, bottom = (44, 40) if size == SMALL else (52, 46)
    area = (left / width, bottom / height, 1 - (left + 10) / width, 1 - (bottom + 10) / height)
    return figure, figure.add_axes(area)


def _panel(
    shown: Sequence[Line],
    context: Sequence[Line],
    size: tuple[int, int],
    name: str,
    label: str,
    decorate: Callable[[Axes, bool], None],
) -> Panel:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    small = size == SMALL
    figure, ax = panel_axes(size)
    for line in context:
        ax.plot(line.x, line.y, color=NOISE.light, linewidth=1, alpha=0.35, zorder=1)
    for line in shown:
        if line.points and (line.loss.role != "baseline" or len(shown) == 1 or not small):
            # One path of zero-length strokes: a tenth of the bytes of one marker per point.
            vertices = [point for point in line.points for _ in range(2)]
            codes = [Path.MOVETO, Path.LINETO] * len(line.points)
            dots = PathPatch(Path(vertices, codes), fill=False, capstyle="round", zorder=2)
            dots.set(edgecolor=line.stroke.colour.light, alpha=0.28, linewidth=4)
            ax.add_patch(dots)
        # Thin and on top, so that a loss that equals the baseline does not hide it.
        baseline = line.loss.role == "baseline"
        ax.plot(
            line.x,
            line.y,
            color=line.stroke.colour.light,
            linestyle=line.stroke.dash,
            linewidth=1.3 if baseline else 2.6,
            zorder=5 if baseline else 4,
        )
    decorate(ax, small)
    ax.tick_params(length=0)
    return Panel(inline(figure, name, label), shown)


def _shown_name(line: Line) -> str:
    return shorten(printable(line.loss.name), 60)
