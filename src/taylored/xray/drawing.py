"""Pictures of X-rays, by matplotlib."""

from __future__ import annotations

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
    """A row for each loss, a column for each moment; all panels of a column share their scale."""
    from matplotlib import pyplot

    count = len(next(iter(found.moments.values())))
    figure, grid = pyplot.subplots(
        len(found.moments),
        count,
        figsize=(1 + 2.7 * count, 0.6 + 2.5 * len(found.moments)),
        layout="constrained",
        squeeze=False,
        sharex=True,
        sharey="col",
    )
    for row, (name, moments) in zip(grid, found.moments.items(), strict=True):
        for axes, moment in zip(row, moments, strict=True):
            _panel(axes, moment)
            if axes.get_subplotspec().is_first_row():
                axes.set_title(f"after {moment.progress:.0%} of the training", fontsize="medium")
        row[0].set_ylabel(f"{name}\nwanted change of p", fontsize="medium")
    for axes in grid[-1]:
        axes.set_xlabel("p of the truth")
    grid[0][0].legend(frameon=False, fontsize="small")
    return figure, grid


def _panel(axes: Axes, moment: Moment) -> None:
    axes.axhline(0, color="gray", linewidth=0.6)
    unit = moment.steepness or 1.0
    for group, bins in moment.curve.groups.items():
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
    axes.set_xlim(0, 1)
