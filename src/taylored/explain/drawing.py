"""Pictures of losses, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from taylored.analysis.drawing import canvas
from taylored.core.checks import fail

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from taylored.explain.explanation import LossView

_ROWS = (("value", "loss", 6.0), ("gradient", "push towards the truth", 4.0), ("gain", "gain", 4.0))
"""What is drawn, how it is called, and up to where: one steep loss must not flatten the others."""
_DASHES = ("solid", "dashed")


def overlaid(losses: Sequence[LossView]) -> tuple[Figure, np.ndarray[Any, Any]]:
    """Loss, gradient and gain in rows; against p_t on the left, the margin on the right."""
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(3, 2, figsize=(10, 9), layout="constrained", sharey="row")
    for axes, (name, label, ceiling) in zip(grid, _ROWS, strict=True):
        top = 0.0
        for number, loss in enumerate(losses):
            for view, dash in zip(loss.views, _DASHES, strict=False):
                text = loss.name if len(loss.views) == 1 else f"{loss.name}, {view.side}"
                line = getattr(view, name).numpy()
                style = {"color": f"C{number}", "linestyle": dash, "label": text}
                axes[0].plot(view.p_t.numpy(), line, **style)
                axes[1].plot(view.margins.numpy(), line, **style)
                shown = getattr(view, name)[(view.p_t > 0.01) & (view.p_t < 0.99)]
                top = max(top, float(shown.nan_to_num(0.0, 0.0, 0.0).max()))
        axes[0].set(ylabel=label, xlim=(0, 1), ylim=(None, min(1.08 * top, ceiling) or 1.0))
        axes[1].set(xlim=(-8, 8))
        if name == "gain":
            for each in axes:
                each.axhline(1, color="gray", linewidth=0.5)
    grid[2][0].set_xlabel("p of the truth")
    grid[2][1].set_xlabel("margin: logit of the truth against the alternative")
    grid[0][0].legend(frameon=False)
    return figure, grid


def family(losses: Sequence[LossView], label: str, axes: Axes | None) -> tuple[Figure, Axes]:
    """The gain for each value of a parameter."""
    effects = [(loss, e) for loss in losses for e in loss.effects if e.knob.label == label]
    if not effects:
        known = ", ".join(e.knob.label for loss in losses for e in loss.effects) or "none"
        fail("label", f"a parameter with an effect: {known}", repr(label), "ask for one of these")
    loss, effect = effects[0]
    figure, axes = canvas(axes)
    for side, dash in zip(effect.family, _DASHES, strict=False):
        for number, (value, view) in enumerate(
            zip(effect.values, effect.family[side], strict=True)
        ):
            text = f"{label} = {value:.3g}" if dash == "solid" else None
            axes.plot(view.p_t.numpy(), view.gain.numpy(), color=f"C{number}", linestyle=dash,
                      label=text)  # fmt: skip
    sides = f" ({', '.join(effect.family)}: dashed)" if len(effect.family) > 1 else ""
    axes.set(title=f"{loss.name}{sides}", xlabel="p of the truth", ylabel="gain", xlim=(0, 1))
    axes.legend(frameon=False)
    return figure, axes
