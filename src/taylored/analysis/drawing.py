"""Where a picture is drawn: on the axes that were given, or on new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def canvas(axes: Axes | None) -> tuple[Figure, Axes]:
    """Figure and axes to draw on."""
    from matplotlib import pyplot

    if axes is None:
        return pyplot.subplots(figsize=(6, 4), layout="constrained")
    return cast("Figure", axes.get_figure()), axes
