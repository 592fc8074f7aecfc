"""What a loss trades between frequent and rare classes, beside what costs nothing.

One curve per loss: its scores moved by tau times the logarithm of the class frequencies, after
training. What lies on or below the curve of the baseline could have been had for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taylored.analysis.palette import INK, MUTED, NOISE, PAGE
from taylored.lab.report.figures.labels import spread
from taylored.lab.report.figures.palette import Stroke, strokes
from taylored.lab.report.figures.svg import blank, house_style, inline
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import task_of
from taylored.lab.wording import printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FARTHEST: Final = 45.0
"""Points below the best beyond which a loss is drawn at the edge: it would flatten the others."""
LONGEST_TAU: Final = 1.5
"""The curves are drawn further, but only up to here they decide how far the axes reach."""
STEP: Final = 14.5
"""Pixels from one name to the next."""


@dataclass(frozen=True)
class View:
    """Two metrics against each other, and the size of the figure; names need room on the right."""

    name: str
    across: str
    up: str
    width: int
    height: int
    names: int


WIDE: Final = View("trade-off", "accuracy", "balanced_accuracy", 600, 296, 168)
NARROW: Final = View("trade-off-narrow", "accuracy", "balanced_accuracy", 350, 330, 0)
TAIL: Final = View("trade-off-tail", "head", "tail", 500, 300, 160)


@dataclass(frozen=True)
class Curve:
    """One loss: its curve by tau as (tau, across, up) in percent, and where it is as it comes."""

    loss: LossResult
    stroke: Stroke
    points: tuple[tuple[float, float, float], ...]
    place: tuple[float, float]


def curves_of(results: Results, view: View) -> list[Curve]:
    """The curves of all losses; of the free references only their place on it."""
    found = []
    for loss, stroke in strokes(results.losses):
        points = tuple(
            (point.tau, 100 * x, 100 * y)
            for point in loss.trade_off
            if (x := point.values.get(view.across)) is not None
            and (y := point.values.get(view.up)) is not None
        )
        x, y = loss.metrics.get(view.across), loss.metrics.get(view.up)
        if (points or loss.role == "free") and x is not None and y is not None:
            kept = () if loss.role == "free" else points
            found.append(Curve(loss, stroke, kept, (100 * x, 100 * y)))
    return found


def front(curves: Iterable[Curve]) -> list[tuple[float, float]]:
    """The points that no other beats in both metrics, from left to right.

    Example:
        >>> front([])
        []
    """
    points = {(x, y) for curve in curves for _, x, y in curve.points}
    points |= {curve.place for curve in curves}
    best, highest = [], float("-inf")
    for x, y in sorted(points, reverse=True):
        if y > highest:
            best.append((x, y))
            highest = y
    return best[::-1]


def trade_off_svg(results: Results, view: View) -> str:
    """The figure as inline SVG; empty for data without such a trade."""
    curves = curves_of(results, view)
    if not any(curve.points for curve in curves):
        return ""
    task = task_of(results)
    across, up = task.metrics[view.across], task.metrics[view.up]
    with house_style():
        figure = blank(view.width, view.height)
        left, bottom, top, right = 50, 44, 8, view.names + 12
        ax = figure.add_axes(
            (
                left / view.width,
                bottom / view.height,
                1 - (left + right) / view.width,
                1 - (bottom + top) / view.height,
            )
        )
        limits = _limits(curves)
        ax.set_xlim(*limits[0])
        ax.set_ylim(*limits[1])
        _draw_front(ax, curves)
        for curve in curves:
            _draw_curve(ax, curve)
        for curve in curves:
            _draw_place(ax, curve, limits)
        if view.names:
            _draw_names(ax, curves, limits, view)
        ax.tick_params(length=0)
        ax.set_xlabel(f"{across.label}, %")
        ax.set_ylabel(f"{up.label}, %")
        said = ", ".join(
            f"{shorten(printable(each.loss.name), 60)} {each.place[0]:.1f} and {each.place[1]:.1f}"
            for each in curves
        )
        return inline(figure, view.name, f"{across.label} and {up.label} of each loss: {said}")


Limits = tuple[tuple[float, float], tuple[float, float]]


def _limits(curves: Sequence[Curve]) -> Limits:
    """Limits of both axes: every loss that is not far off, and the useful part of the curves."""
    needed = [curve.place for curve in curves if curve.loss.role != "candidate"]
    needed += [
        (x, y)
        for curve in curves
        if curve.loss.role == "baseline"
        for tau, x, y in curve.points
        if 0 <= tau <= 1
    ]
    places = [curve.place for curve in curves]
    useful = [(x, y) for c in curves for tau, x, y in c.points if 0 <= tau <= LONGEST_TAU]
    return _reach(needed, places, useful, 0), _reach(needed, places, useful, 1)


def _reach(
    needed: Sequence[tuple[float, float]],
    places: Sequence[tuple[float, float]],
    useful: Sequence[tuple[float, float]],
    axis: int,
) -> tuple[float, float]:
    high = max(point[axis] for point in (*needed, *places, *useful))
    best = max(point[axis] for point in places)
    near = [point[axis] for point in places if point[axis] >= best - FARTHEST]
    low = min([*near, *(point[axis] for point in needed)])
    margin = max(0.06 * (high - low), 0.3)
    return low - margin, high + margin


def _draw_front(ax: Axes, curves: Sequence[Curve]) -> None:
    points = front(curves)
    ax.plot(
        [x for x, _ in points],
        [y for _, y in points],
        color=NOISE.light,
        alpha=0.3,
        linewidth=9,
        solid_capstyle="round",
        zorder=1,
    )


def _draw_curve(ax: Axes, curve: Curve) -> None:
    baseline = curve.loss.role == "baseline"
    ax.plot(
        [x for _, x, _ in curve.points],
        [y for _, _, y in curve.points],
        color=curve.stroke.colour.light,
        linestyle=curve.stroke.dash,
        linewidth=2.4 if baseline else 1.4,
        alpha=1.0 if baseline else 0.45,
        zorder=4 if baseline else 3,
    )


def _draw_place(ax: Axes, curve: Curve, limits: Limits) -> None:
    """Where the loss is as it comes: a dot; what is free a diamond; what is far off an arrow."""
    x, y = _inside(curve.place, limits)
    away = (x, y) != curve.place
    free = curve.loss.role == "free"
    hollow = free or away
    ax.plot(
        [x],
        [y],
        linestyle="none",
        marker="v" if away else "D" if free else "o",
        markersize=6.5 if free else 8,
        markeredgewidth=1.8 if hollow else 1.4,
        markeredgecolor=_colour(curve) if hollow else PAGE.light,
        markerfacecolor=PAGE.light if hollow else _colour(curve),
        clip_on=False,
        zorder=7 if free else 6,
    )


def _colour(curve: Curve) -> str:
    return INK.light if curve.loss.role == "free" else curve.stroke.colour.light


def _inside(place: tuple[float, float], limits: Limits) -> tuple[float, float]:
    (left, right), (low, high) = limits
    return min(max(place[0], left), right), min(max(place[1], low), high)


def _draw_names(ax: Axes, curves: Sequence[Curve], limits: Limits, view: View) -> None:
    """Names in a column on the right, each joined to its dot."""
    box = ax.get_window_extent()
    (left, right), (low, high) = limits
    ordered = sorted(curves, key=lambda curve: (curve.place[1], curve.place[0]))
    wanted = [
        box.height * (_inside(curve.place, limits)[1] - low) / (high - low) for curve in ordered
    ]
    for curve, height in zip(ordered, spread(wanted, STEP, box.height), strict=True):
        x, y = _inside(curve.place, limits)
        at = (box.width * (x - left) / (right - left), box.height * (y - low) / (high - low))
        ends = [(at[0] + 5, at[1]), (box.width - 2, height), (box.width + 8, height)]
        ax.plot(
            [end[0] / box.width for end in ends],
            [end[1] / box.height for end in ends],
            transform=ax.transAxes,
            color=curve.stroke.colour.light,
            linewidth=0.8,
            alpha=0.55,
            clip_on=False,
            zorder=2,
        )
        baseline = curve.loss.role == "baseline"
        ax.text(
            (box.width + 12) / box.width,
            height / box.height,
            shorten(printable(curve.loss.name), view.names // 7),
            transform=ax.transAxes,
            color=MUTED.light if curve.loss.role == "free" else INK.light,
            fontsize=10.5,
            fontweight="bold" if baseline else "normal",
            va="center",
        )
