"""Figures of the score of each class against its frequency, and of the frequencies themselves.

The score is recall for one class per sample, average precision for many labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from taylored.analysis.palette import BAND, INK, MUTED
from taylored.lab.data import Group
from taylored.lab.report.figures.lines import Line, Panel, panels
from taylored.lab.report.figures.palette import strokes
from taylored.lab.report.figures.svg import blank, house_style, inline
from taylored.lab.results import Results
from taylored.lab.run_config import DatasetSummary
from taylored.lab.tasks import task_of
from taylored.lab.wording import plural_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 300
"""Points drawn per loss. With more classes every k-th by frequency is drawn; the line uses all."""


def score_panels(results: Results) -> list[Panel]:
    """Score against training frequency, one smoothed line per loss with its points faint."""
    task = task_of(results)
    counts = results.dataset.train_counts
    lines = []
    for loss, stroke in strokes(results.losses):
        if loss.role == "free":
            continue
        scores = loss.class_scores or (None,) * len(counts)
        points = sorted(
            (float(count), 100 * value)
            for count, value in zip(counts, scores, strict=True)
            if value is not None and count > 0
        )
        if points:
            x, y = smooth(points)
            drawn = points[:: math.ceil(len(points) / MOST_POINTS)]
            lines.append(Line(loss, stroke, x, y, drawn))

    def decorate(ax: Axes, small: bool) -> None:
        ax.set_xscale("log")
        ax.set_ylim(-3, 103)
        ax.set_yticks([0, 25, 50, 75, 100])
        ax.minorticks_off()
        _group_limits(ax, results.dataset, small)
        ax.set_xlabel(f"training samples of the {task.noun}")
        ax.set_ylabel(f"{task.class_score}, %")
        ax.xaxis.set_major_formatter(_thousands)

    label = f"{task.class_score.capitalize()} of each {task.noun} against its frequency"
    return panels(lines, "scores", label, decorate)


def smooth(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Means over groups of classes of similar frequency: (geometric mean count, mean score).

    Up to 12 classes stay as they are; more are cut into 6 to 12 groups of equal size, because a
    single rare class has a handful of test samples and its score jumps.

    Example:
        >>> smooth([(1.0, 20.0), (10.0, 60.0)])
        ([1.0, 10.0], [20.0, 60.0])
    """
    # Classes of one frequency may fall into two groups. Ordered by score they would make a jump
    # between the groups that is not in the data, so each takes the mean score of its frequency.
    same: dict[float, list[float]] = {}
    for x, y in points:
        same.setdefault(x, []).append(y)
    ordered = sorted((x, math.fsum(same[x]) / len(same[x])) for x, _ in points)
    size = len(ordered)
    groups = size if size <= 12 else max(6, min(12, size // 8))
    xs, ys = [], []
    for index in range(groups):
        part = ordered[index * size // groups : (index + 1) * size // groups]
        # exp(log(x)) is not x in floating point; a single class keeps its own count.
        logs = math.fsum(math.log(x) for x, _ in part) / len(part)
        xs.append(part[0][0] if len(part) == 1 else math.exp(logs))
        ys.append(math.fsum(y for _, y in part) / len(part))
    return xs, ys


def frequencies_svg(results: Results) -> str:
    """Training samples per class, most frequent first, with the groups."""
    nouns = plural_of(task_of(results).noun)
    counts = sorted((count for count in results.dataset.train_counts if count > 0), reverse=True)
    if not counts:
        return ""
    from matplotlib.ticker import MaxNLocator

    with house_style():
        figure = blank(420, 190)
        ax = figure.add_axes((0.13, 0.23, 0.85, 0.72))
        ax.set_yscale("log")
        floor = 10 ** math.floor(math.log10(min(counts)) - 0.2)
        ax.fill_between(
            range(len(counts)),
            counts,
            floor,
            step="mid",
            color=MUTED.light,
            alpha=0.35,
            linewidth=0,
        )
        ax.set_ylim(floor, max(counts) * 1.6)
        ax.set_xlim(-0.5, len(counts) - 0.5)
        ax.minorticks_off()
        ax.grid(visible=False, axis="x")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(_thousands)
        ax.set_xlabel(f"{nouns}, most frequent first")
        ax.set_ylabel("training samples")
        ax.tick_params(length=0)
        label = (
            f"Training samples of {len(counts)} {nouns}, from {max(counts)} down to {min(counts)}"
        )
        return inline(figure, "frequencies", label)


def _group_limits(ax: Axes, dataset: DatasetSummary, small: bool) -> None:
    """Limit the axis to the classes, shade the medium ones, and name the groups."""
    by_group: dict[Group, list[int]] = {}
    for count, group in zip(dataset.train_counts, dataset.groups, strict=True):
        if count > 0:
            by_group.setdefault(group, []).append(count)
    everything = [count for counts in by_group.values() for count in counts]
    if not everything:
        return
    ax.set_xlim(min(everything) / 1.3, max(everything) * 1.3)
    for group, members in by_group.items():
        low, high = min(members), max(members)
        if group == "medium":
            ax.axvspan(low / 1.02, high * 1.02, color=BAND.light, linewidth=0, zorder=0)
        if not small:
            place = math.sqrt(low * high)
            edge = ax.get_xaxis_transform()
            ax.text(place, 0.03, group, transform=edge, color=INK.light, ha="center", fontsize=10)


def _thousands(value: float, _: object) -> str:
    return f"{value:,.0f}".replace(",", "\u2009")
