"""How hard each class is pushed up against down: epoch by epoch, and class by class over all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taylored.lab.report.class_scores import MOST_POINTS, smooth
from taylored.lab.report.lines import LARGE, SMALL, Line, Panel, panels
from taylored.lab.report.palette import BAND, INK, MUTED, Stroke, strokes
from taylored.lab.report.svg import blank, house_style, inline
from taylored.lab.tasks import task_of
from taylored.lab.wording import finite, plural_of, printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 100.0
"""A ratio past this or its inverse is drawn there: zero has no place on a logarithmic axis."""

WHEN = "over the whole training"
"""What the trials' list, one ratio per class, was counted over."""

# The tail is what the figure is about, so it has the line that is seen first.
GROUPS: dict[str, str | tuple[int, tuple[float, ...]]] = {
    "head": (0, (1.2, 1.6)),
    "medium": (0, (5, 2)),
    "tail": "solid",
}
"""The groups and the dashes that tell them apart; the colour of a line says which loss it is."""


@dataclass(frozen=True)
class _Course:
    """Of one loss, the epochs and ratios of each group that has any."""

    line: Line
    groups: Mapping[str, tuple[Sequence[int], Sequence[float]]]

    def __str__(self) -> str:
        ends = (f"{group} {y[0]:.2g} to {y[-1]:.2g}" for group, (_, y) in self.groups.items())
        return f"{shorten(printable(str(self.line.entry['name'])), 60)} {', '.join(ends)}"


def by_epoch(results: Mapping[str, Any]) -> list[Panel]:
    """Median ratio of head, medium and tail by epoch; each loss in front of the baseline."""
    courses = [course for pair in _compared(results) if (course := _course(*pair)).groups]
    if not courses:
        return []
    baseline = [course for course in courses if course.line.entry["role"] == "baseline"]
    front = [course for course in courses if course not in baseline] or baseline
    reach = _reach(y for course in courses for _, values in course.groups.values() for y in values)
    label = f"Median gradient ratio of the groups of {plural_of(task_of(results).noun)} by epoch"
    result = []
    with house_style():
        for index, course in enumerate(front):
            shown = [*(other for other in baseline if other is not course), course]
            figure, ax = _axes(small=len(front) > 1)
            for each in shown:
                _draw(ax, each, width=2.4 if each is course else 1.3)
            _ratio_axis(ax, reach)
            text = f"{label}: {'; '.join(str(each) for each in shown)}"
            svg = inline(figure, f"ratio-epochs{index}", text)
            result.append(Panel(svg, [each.line for each in shown]))
    return result


def by_class(results: Mapping[str, Any]) -> list[Panel]:
    """Ratio of every class over the training, most frequent first: smoothed, its points faint."""
    noun = task_of(results).noun
    counts = results["dataset"].get("train_counts") or []
    order = sorted((i for i, count in enumerate(counts) if count > 0), key=lambda i: -counts[i])
    lines = []
    for entry, stroke in _compared(results):
        ratios = _class_means(entry, len(counts))
        known = [
            (float(rank), value)
            for rank, index in enumerate(order, start=1)
            if (value := ratios[index]) is not None
        ]
        if known:
            x, logs = smooth([(rank, math.log(value)) for rank, value in known])
            drawn = known[:: math.ceil(len(known) / MOST_POINTS)]
            lines.append(Line(entry, stroke, x, [math.exp(y) for y in logs], drawn))
    reach = _reach(y for line in lines for _, y in line.points)

    def decorate(ax: Axes, small: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        _ratio_axis(ax, reach)
        ax.set_xlim(0, len(order) + 1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if small else 9))
        ax.grid(visible=False, axis="x")
        ax.set_xlabel(f"{plural_of(noun)}, most frequent first")
        _name_groups(ax, [str(group) for group in _in_order(results, order)])

    return panels(lines, "ratio-classes", f"Gradient ratio of each {noun} {WHEN}", decorate)


def limited(results: Mapping[str, Any]) -> bool:
    """Whether any ratio lies outside of what is drawn."""
    return any(
        not 1 / LIMIT <= value <= LIMIT
        for entry, _ in _compared(results)
        for trial in _worked(entry)
        for value in (
            *(trial.get("gradient_ratio") or ()),
            *(row.get(f"gradient_ratio_{group}") for row in trial["curve"] for group in GROUPS),
        )
        if finite(value) is not None
    )


def _compared(results: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Stroke]]:
    entries = results["losses"]
    pairs = zip(entries, strokes(entries), strict=True)
    return [(entry, stroke) for entry, stroke in pairs if entry["role"] != "control"]


def _worked(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (trial for trial in entry["trials"] if trial["status"] == "ok")


def _mean(ratios: Iterable[object]) -> float | None:
    """Geometric mean of what is known: twice as much and half as much average to balance."""
    logs = [
        math.log(min(max(value, 1 / LIMIT), LIMIT))
        for ratio in ratios
        if (value := finite(ratio)) is not None
    ]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def _class_means(entry: Mapping[str, Any], classes: int) -> list[float | None]:
    lists = [ratios for trial in _worked(entry) if (ratios := trial.get("gradient_ratio"))]
    return [_mean(ratios[index] for ratios in lists) for index in range(classes)]


def _course(entry: Mapping[str, Any], stroke: Stroke) -> _Course:
    rows = [row for trial in _worked(entry) for row in trial["curve"]]
    epochs = sorted({int(row["epoch"]) for row in rows})
    groups = {}
    for group in GROUPS:
        key = f"gradient_ratio_{group}"
        means = [(e, _mean(row.get(key) for row in rows if row["epoch"] == e)) for e in epochs]
        known = [(epoch, mean) for epoch, mean in means if mean is not None]
        if known:
            groups[group] = ([epoch for epoch, _ in known], [mean for _, mean in known])
    # Dashes tell the groups apart here; in its key the loss has its colour only.
    return _Course(Line(entry, Stroke(stroke.colour, "solid"), (), ()), groups)


def _draw(ax: Axes, course: _Course, width: float) -> None:
    for group, (x, y) in course.groups.items():
        colour = course.line.stroke.colour.light
        ax.plot(x, y, color=colour, linestyle=GROUPS[group], linewidth=width, zorder=4)


def _axes(small: bool) -> tuple[Figure, Axes]:
    from matplotlib.ticker import MaxNLocator

    width, height = SMALL if small else LARGE
    figure = blank(width, height)
    left, bottom = (44, 40) if small else (52, 46)
    area = (left / width, bottom / height, 1 - (left + 10) / width, 1 - (bottom + 10) / height)
    ax = figure.add_axes(area)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if small else 9))
    ax.tick_params(length=0)
    return figure, ax


def _reach(ratios: Iterable[float]) -> tuple[float, float]:
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


def _in_order(results: Mapping[str, Any], order: Sequence[int]) -> Iterator[str]:
    groups = results["dataset"].get("groups") or []
    return (groups[index] for index in order if index < len(groups))


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
