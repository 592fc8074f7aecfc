"""A picture of what the networks say about a few characters."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from kanji_pixels import IGNORED
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor


def rarest(targets: Tensor, classes: int, count: int) -> Tensor:
    """Rows of `targets` with the rarest classes in them, one for each, rarest first."""
    frequency = torch.bincount(targets[targets != IGNORED], minlength=classes)
    order = [c for c in frequency.argsort(stable=True).tolist() if frequency[c]]
    found: list[int] = []
    for c in order:
        rows = (targets == c).flatten(1).any(1).nonzero()[:, 0].tolist()
        found += [row for row in rows if row not in found][:1]
    return torch.tensor(found[:count])


def plot(
    file: Path,
    images: Tensor,
    targets: Tensor,
    predictions: Mapping[str, Tensor],
    names: Sequence[str],
) -> None:
    """Drawing, truth and every prediction, a row for each character; crosses mark wrong pixels."""
    blank = len(names)  # one class more, for what was ignored
    panels = {
        title: torch.where(targets == IGNORED, blank, classes)
        for title, classes in {"truth": targets, **predictions}.items()
    }
    # Only the types in the picture get a colour: 24 cannot be told apart.
    present = torch.cat([classes.unique() for classes in panels.values()]).unique().tolist()
    present.remove(blank)
    palette = np.asarray(colormaps["tab20"](np.arange(len(present)) % 20))
    colours = np.ones((blank + 1, 4))
    colours[present] = palette
    rows, columns = len(images), 1 + len(panels)
    figure = Figure(figsize=(2.2 * columns, 2.2 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        axes[row][0].imshow(1 - images[row, 0], cmap="gray", vmin=0, vmax=1)
        for axis, (title, classes) in zip(axes[row][1:], panels.items(), strict=True):
            axis.imshow(colours[classes[row]])
            wrong = (classes[row] != panels["truth"][row]).nonzero()
            axis.scatter(wrong[:, 1], wrong[:, 0], c="black", marker="x", s=8, linewidths=0.6)
            if row == 0:
                axis.set_title(title, fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    legend = [
        # The letters only: few fonts have the signs.
        Patch(color=tuple(colour), label=names[c].split()[-1])
        for c, colour in zip(present, palette.tolist(), strict=True)
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=8, fontsize=8)
    figure.savefig(file, dpi=120)
