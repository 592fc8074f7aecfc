"""Reliability diagrams: how confident predictions are, and how often they are right."""

from __future__ import annotations

import math

from taylored.analysis.palette import MUTED
from taylored.lab.report.figures.lines import SMALL, panel_axes
from taylored.lab.report.figures.palette import strokes
from taylored.lab.report.figures.svg import house_style, inline
from taylored.lab.results import Results
from taylored.lab.wording import printable, shorten


def reliability_svg(results: Results) -> list[tuple[str, str]]:
    """One diagram per trained loss, after recalibration: its name and the inline SVG."""
    figures = []
    with house_style():
        for index, (loss, stroke) in enumerate(strokes(results.losses)):
            if loss.role == "free" or loss.likelihood is None or not loss.likelihood.bins:
                continue
            bins = loss.likelihood.bins
            largest = max(each.count for each in bins)
            figure, ax = panel_axes(SMALL)
            ax.plot([0, 100], [0, 100], color=MUTED.light, linewidth=1, zorder=1)
            colour = stroke.colour.light
            x = [100 * each.confidence for each in bins]
            y = [100 * each.right for each in bins]
            ax.plot(x, y, color=colour, linewidth=1.4, alpha=0.5, zorder=2)
            # Three sizes of dots: one path each keeps the figure small.
            sizes = [2 + math.ceil(3 * math.sqrt(each.count / largest)) * 2.5 for each in bins]
            for size in sorted(set(sizes)):
                inside = [index for index, each in enumerate(sizes) if each == size]
                ax.plot(
                    [x[index] for index in inside],
                    [y[index] for index in inside],
                    linestyle="none",
                    marker="o",
                    markersize=size,
                    color=colour,
                    markeredgewidth=0,
                    zorder=3,
                )
            ax.set_xlim(-3, 103)
            ax.set_ylim(-3, 103)
            ax.set_xticks([0, 25, 50, 75, 100])
            ax.set_yticks([0, 25, 50, 75, 100])
            ax.tick_params(length=0)
            ax.set_xlabel("confidence, %")
            ax.set_ylabel("right, %")
            said = ", ".join(f"{100 * each.confidence:.0f} {100 * each.right:.0f}" for each in bins)
            name = shorten(printable(loss.name), 60)
            label = f"Confidence and share right of {name}, in percent: {said}"
            figures.append((loss.name, inline(figure, f"reliability{index}", label)))
    return figures
