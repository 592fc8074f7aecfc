"""Pictures of X-rays, by matplotlib."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from taylored.xray.along import TrainingXRay
    from taylored.xray.moment import Moment

_COLOURS: Final = {"head": "#0072b2", "medium": "#e69f00", "tail": "#d55e00"}
_FEWEST: Final = 5
"""Samples below which a bin has no mean worth drawing."""


def drawn(found: TrainingXRay) -> tuple[Figure, np.ndarray[Any, Any]]:
    """A row for each loss and outcome, a column for each moment.

    All panels of a column and an outcome share their scale. Answers of yes and no have an axis in
    the log odds of p: most of them are next to 0 or 1.
    """
    from matplotlib import pyplot

    first = next(iter(found.moments.values()))
    rows = list(product(found.moments, first[0].outcomes))
    figure, grid = pyplot.subplots(
        len(rows),
        len(first),
        figsize=(1 + 2.7 * len(first), 0.6 + 2.5 * len(rows)),
        layout="constrained",
        squeeze=False,
        sharex=True,
    )
    _share_scales(grid, len(first[0].outcomes))
    for (name, outcome), row in zip(rows, grid, strict=True):
        for axes, moment in zip(row, found.moments[name], strict=True):
            _panel(axes, moment, outcome)
            if axes.get_subplotspec().is_first_row():
                axes.set_title(f"after {moment.progress:.0%} of the training", fontsize="medium")
        kind = "" if outcome == "truth" else f"{outcome}\n"
        row[0].set_ylabel(f"{name}\n{kind}wanted change of p", fontsize="medium")
    for axes in grid[-1]:
        axes.set_xlabel("p of the truth")
    grid[0][0].legend(frameon=False, fontsize="small")
    return figure, grid


def _share_scales(grid: np.ndarray[Any, Any], outcomes: int) -> None:
    """One scale for the panels of a column and an outcome: rows repeat the outcomes of a loss."""
    for number, row in enumerate(grid[outcomes:]):
        for axes, first in zip(row, grid[number % outcomes], strict=True):
            axes.sharey(first)


def _panel(axes: Axes, moment: Moment, outcome: str) -> None:
    axes.axhline(0, color="gray", linewidth=0.6)
    unit = moment.steepness or 1.0
    for group, bins in moment.outcomes[outcome].curve.groups.items():
        kept = [each for each in bins if each is not None and each.count >= _FEWEST]
        p, wanted = [each.p for each in kept], [-each.dp / unit for each in kept]
        errors = [each.error / unit for each in kept]
        colour = _COLOURS.get(group)
        axes.plot(p, wanted, color=colour, marker="o", markersize=3, label=group)
        axes.fill_between(
            p,
            [each - 2 * error for each, error in zip(wanted, errors, strict=True)],
            [each + 2 * error for each, error in zip(wanted, errors, strict=True)],
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
    if outcome == "truth":
        axes.set_xlim(0, 1)
    else:
        _log_odds(axes)


def _log_odds(axes: Axes) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    shown = {0.001: "0.001", 0.03: "0.03", 0.5: "0.5", 0.97: "0.97", 0.999: "0.999"}
    axes.set_xscale("logit")
    axes.set_xlim(1e-4, 1 - 1e-4)
    axes.set_xticks(list(shown), labels=list(shown.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
