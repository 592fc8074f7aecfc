"""Where in an image the gradient is: one loss beside another on the same logits and mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from taylored.analysis.named import Losses, gradient, named
from taylored.core.checks import fail

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class GradientMaps:
    """Size of the gradient at every position, by name of the loss.

    Args:
        sizes: for each loss the absolute gradients of a position, added over its classes; shape
            (N, ...), the logits' without the axis of classes.

    """

    sizes: dict[str, Tensor]

    def share(self, name: str, where: Tensor) -> float:
        """Which part of the whole gradient of a loss lies where a mask (N, ...) is true."""
        sizes = self._sizes(name)
        if where.shape != sizes.shape or where.dtype != torch.bool:
            got = f"{where.dtype} of shape {tuple(where.shape)}"
            fail("where", f"a bool mask of shape {tuple(sizes.shape)}", got, "say target == 1")
        total = sizes.sum()
        return float(sizes[where].sum() / total) if total else 0.0

    def draw(self, sample: int = 0) -> tuple[Figure, list[Axes]]:
        """The maps of one sample side by side, each scaled to its own largest value."""
        from matplotlib import pyplot

        first = next(iter(self.sizes.values()))
        if first.dim() != 3:
            fail("maps", "of images, (N, H, W)", tuple(first.shape), "draw these sizes yourself")
        figure, grid = pyplot.subplots(
            1,
            len(self.sizes),
            figsize=(3 * len(self.sizes), 3.3),
            layout="constrained",
            squeeze=False,
        )
        axes = list(grid[0])
        for each, (name, sizes) in zip(axes, self.sizes.items(), strict=True):
            each.imshow(sizes[sample].numpy(), cmap="magma", vmin=0)
            each.set_title(name, fontsize="medium")
            each.set_axis_off()
        return figure, axes

    def _sizes(self, name: str) -> Tensor:
        if name not in self.sizes:
            fail("name", f"one of {', '.join(map(repr, self.sizes))}", repr(name),
                 "ask for a loss that the maps were made of")  # fmt: skip
        return self.sizes[name]


def gradient_maps(losses: Losses, logits: Tensor, target: Tensor) -> GradientMaps:
    """How large the gradient of each loss is at every position.

    Args:
        losses: catalogue texts, modules or functions `(logits, target) -> loss`.
        logits: (N, C, ...), classes in axis 1.
        target: what the losses take: class indices (N, ...), or floats like the logits.

    Returns:
        `GradientMaps`.

    Raises:
        ValueError: for logits without an axis of positions.

    Example:
        Cross-entropy corrects every pixel by how wrong it is; Dice by how wrong the whole mask is:

        >>> import torch
        >>> logits = torch.zeros(1, 2, 4, 4)
        >>> mask = torch.zeros(1, 4, 4, dtype=torch.long)
        >>> mask[0, 0, 0] = 1
        >>> maps = gradient_maps(["cross_entropy", "dice"], logits, mask)
        >>> {name: round(maps.share(name, mask == 1), 3) for name in maps.sizes}
        {'cross_entropy': 0.062, 'dice': 0.183}
    """
    if logits.dim() < 3:
        fail("logits", "(N, C, ...) with positions", tuple(logits.shape),
             "for rows without positions, see `layer_gradients`")  # fmt: skip
    wide = logits.detach().double()
    target = target.double() if target.is_floating_point() else target
    slopes = {name: gradient(loss, wide, target)[1] for name, loss in named(losses).items()}
    return GradientMaps({name: slope.abs().sum(1) for name, slope in slopes.items()})
