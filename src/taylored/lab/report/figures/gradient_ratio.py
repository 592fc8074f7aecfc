"""Figures of the gradient ratio: of each group by epoch, and of each class over the training.

The ratio says how hard the score of a class is pushed up, relative to how hard it is pushed down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taylored.analysis.palette import BAND, INK, MUTED
from taylored.lab.data import Group
from taylored.lab.report.figures.class_scores import MOST_POINTS, smooth
from taylored.lab.report.figures.lines import LARGE, SMALL, Line, Panel, panel_axes, panels
from taylored.lab.report.figures.palette import Stroke, strokes
from taylored.lab.report.figures.svg import house_style, inline
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import task_of
from taylored.lab.trial_result import ratio_key
from taylored.lab.wording import plural_of, printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 100.0
"""A ratio above this, or below its inverse, is drawn there: a logarithmic axis has no zero."""

WHEN = "over the whole training"
"""The time over which the ratio of each class is counted."""

# The figure is about the tail, which therefore has the line that is seen first.
GROUP_DASHES: dict[Group, str | tuple[int, tuple[float, ...]]] = {
    "head": (0, (1.2, 1.6)),
    "medium": (0, (5, 2)),
    "tail": "solid",
}
"""The dashes of each group. The colour of a line says which loss it is."""
_RATIO_KEYS = tuple(map(ratio_key, GROUP_DASHES))


@dataclass(frozen=True)
class _Course:
    """The epochs and ratios of one loss, for each group that has any."""

    line: Line
    groups: Mapping[Group, tuple[Sequence[int], Sequence[float]]]

    def __str__(self) -> str:
        ends = (f"{group} {y[0]:.2g} to {y[-1]:.2g}" for group, (_, y) in self.groups.items())
        return f"{shorten(printable(self.line.loss.name), 60)} {', '.join(ends)}"


def by_epoch(results: Results) -> list[Panel]:
    """Median ratio of head, medium and tail by epoch; each loss in front of the baseline."""
    courses = [course for pair in _compared(results) if (course := _course(*pair)).groups]
    if not courses:
        return []
    baseline = [course for course in courses if course.line.loss.role == "baseline"]
    front = [course for course in courses if course not in baseline] or baseline
    reach = _ratio_reach(
        y for course in courses for _, values in course.groups.values() for y in values
    )
    label = f"Median gradient ratio of the groups of {plural_of(task_of(results).noun)} by epoch"
    result = []
    with house_style():
        for index, course in enumerate(front):
            shown = [*(other for other in baseline if other is not course), course]
            figure, ax = _epoch_axes(small=len(front) > 1)
            for each in shown:
                _draw_course(ax, each, width=2.4 if each is course else 1.3)
            _ratio_axis(ax, reach)
            text = f"{label}: {'; '.join(str(each) for each in shown)}"
            svg = inline(figure, f"ratio-epochs{index}", text)
            result.append(Panel(svg, [each.line for each in shown]))
    return result


def by_class(results: Results) -> list[Panel]:
    """Ratio of every class over the training, most frequent first: smoothed, its points faint."""
    noun = task_of(results).noun
    counts = results.dataset.train_counts
    order = sorted((i for i, count in enumerate(counts) if count > 0), key=lambda i: -counts[i])
    lines = []
    for loss, stroke in _compared(results):
        ratios = _class_means(loss, len(counts))
        known = [
            (float(rank), value)
            for rank, index in enumerate(order, start=1)
            if (value := ratios[index]) is not None
        ]
        if known:
            x, logs = smooth([(rank, math.log(value)) for rank, value in known])
            drawn = known[:: math.ceil(len(known) / MOST_POINTS)]
            lines.append(Line(loss, stroke, x, [math.exp(y) for y in logs], drawn))
    reach = _ratio_reach(y for line in lines for _, y in line.points)

    def decorate(ax: Axes, small: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        _ratio_axis(ax, reach)
        ax.set_xlim(0, len(order) + 1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if small else 9))
        ax.grid(visible=False, axis="x")
        ax.set_xlabel(f"{plural_of(noun)}, most frequent first")
        _name_groups(ax, [results.dataset.groups[index] for index in order])

    return panels(lines, "ratio-classes", f"Gradient ratio of each {noun} {WHEN}", decorate)


def limited(results: Results) -> bool:
    """Whether any ratio lies outside of what is drawn."""
    return any(
        not 1 / LIMIT <= value <= LIMIT
        for loss, _ in _compared(results)
        for trial in loss.worked
        for value in (
            *(trial.gradient_ratio or ()),
            *(row[key] for row in trial.curve for key in _RATIO_KEYS if key in row),
        )
    )


def _compared(results: Results) -> list[tuple[LossResult, Stroke]]:
    return [(loss, stroke) for loss, stroke in strokes(results.losses) if loss.role != "free"]


def _geometric_mean(ratios: Iterable[float]) -> float | None:
    """Geometric mean, in which a ratio of two and a ratio of one half average to balance."""
    logs = [math.log(min(max(ratio, 1 / LIMIT), LIMIT)) for ratio in ratios]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def _class_means(loss: LossResult, classes: int) -> list[float | None]:
    lists = [trial.gradient_ratio for trial in loss.worked if trial.gradient_ratio]
    return [_geometric_mean(ratios[index] for ratios in lists) for index in range(classes)]


def _course(loss: LossResult, stroke: Stroke) -> _Course:
    rows = [row for trial in loss.worked for row in trial.curve]
    epochs = sorted({int(row["epoch"]) for row in rows})
    groups = {}
    for group in GROUP_DASHES:
        key = ratio_key(group)
        with_ratio = [row for row in rows if key in row]
        means = [
            (epoch, _geometric_mean(row[key] for row in with_ratio if row["epoch"] == epoch))
            for epoch in epochs
        ]
        known = [(epoch, mean) for epoch, mean in means if mean is not None]
        if known:
            groups[group] = ([epoch for epoch, _ in known], [mean for _, mean in known])
    # The dashes tell the groups apart, so the legend shows a loss by its colour alone.
    return _Course(Line(loss, Stroke(stroke.colour, "solid"), (), ()), groups)


def _draw_course(ax: Axes, course: _Course, width: float) -> None:
    for group, (x, y) in course.groups.items():
        colour = course.line.stroke.colour.light
        ax.plot(x, y, color=colour, linestyle=GROUP_DASHES[group], linewidth=width, zorder=4)


def _epoch_axes(small: bool) -> tuple[Figure, Axes]:
    from matplotlib.ticker import MaxNLocator

    figure, ax = panel_axes(SMALL if small else LARGE)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if small else 9))
    ax.tick_params(length=0)
    return figure, ax


def _ratio_reach(ratios: Iterable[float]) -> tuple[float, float]:
    """Limits of the axis, shared by all panels: at least from a half to twice."""
    known = list(ratios)
    return min([0.5, *known]) / 1.15, max([2.0, *known]) * 1.15


def _ratio_axis(ax: Axes, reach: tuple[float, float]) -> None:
    low, high = reach
    steps = (1, 2, 5) if high / low < 100 else (1,)
    ticks = [step * 10.0**power for power in range(-3, 4) for step in steps]
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    ax.set_yticks([t for t in ticks if low <= t <= high], minor=False)
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylabel("gradient ratio")
    ax.axhline(1, color=MUTED.light, linewidth=1.1, zorder=1)


def _name_groups(ax: Axes, groups: Sequence[str]) -> None:
    """Name each group under its classes and shade the medium ones."""
    edge = ax.get_xaxis_transform()
    for group in dict.fromkeys(groups):
        ranks = [rank for rank, name in enumerate(groups, start=1) if name == group]
        low, high = ranks[0] - 0.5, ranks[-1] + 0.5
        if group == "medium":
            ax.axvspan(low, high, color=BAND.light, linewidth=0, zorder=0)
        ax.text(
            (low + high) / 2, 0.03, group, transform=edge, color=INK.light, ha="center", fontsize=10
        )
