"""Loss and gradient along the probability of the truth: easy and hard regions, and what vanishes.

One sample with one logit (or the margin between two classes) is all there is, so that every loss is
seen on the same axis: how strongly does it push a sample that is this right or this wrong?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from taylored.analysis.drawing import canvas
from taylored.analysis.named import Losses, LossFunction, gradient, named
from taylored.core.checks import fail

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Link = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, eq=False)
class GradientCurves:
    """Losses and their gradients along the margin of the truth.

    Args:
        margins: logit of the truth against the alternative, rising, shape (points,).
        p_t: probability of the truth at each margin.
        values: the loss at each margin, by name.
        gradients: `-dL/dmargin` by name: how strongly the loss pushes towards the truth.

    """

    margins: Tensor
    p_t: Tensor
    values: dict[str, Tensor]
    gradients: dict[str, Tensor]

    def peak(self, name: str) -> tuple[float, float]:
        """Where the gradient of a loss is largest, as p_t, and how large it is there."""
        at = int(self._gradient(name).argmax())
        return float(self.p_t[at]), float(self._gradient(name)[at])

    def ratio(self, name: str, to: str) -> Tensor:
        """Gradient of one loss over that of another: for focal to cross-entropy, its modulation."""
        return self._gradient(name) / self._gradient(to)

    def region(self, name: str, above: float = 0.5) -> tuple[float, float]:
        """The p_t between which the gradient is at least `above` of its peak.

        Raising `above` narrows the region to the samples that the loss is mostly about. A loss
        that still pushes with full force at the end of the axis has its region end there.
        """
        if not 0 < above <= 1:
            fail("above", "in (0, 1]", above, "0.5 is half of the peak")
        found = self._gradient(name)
        inside = self.p_t[found >= above * found.max()]
        return float(inside.min()), float(inside.max())

    def draw(self, axes: Axes | None = None) -> tuple[Figure, Axes]:
        """Gradient against p_t, one line per loss."""
        figure, axes = canvas(axes)
        for name, line in self.gradients.items():
            axes.plot(self.p_t.numpy(), line.numpy(), label=name)
        axes.set(xlabel="$p_t$", ylabel="push towards the truth", xlim=(0, 1))
        axes.axhline(0, color="gray", linewidth=0.5)
        axes.legend(frameon=False)
        return figure, axes

    def _gradient(self, name: str) -> Tensor:
        if name not in self.gradients:
            fail("name", f"one of {', '.join(map(repr, self.gradients))}", repr(name),
                 "ask for a loss that the curves were made of")  # fmt: skip
        return self.gradients[name]


def gradient_curves(
    losses: Losses,
    *,
    target: Literal[0, 1] = 1,
    link: Link = "sigmoid",
    widest: float = 12.0,
    points: int = 481,
) -> GradientCurves:
    r"""Loss and gradient of a single sample along the logit margin of its truth.

    The sample is a batch of its own, so that means and sums are the same and a loss of regions,
    such as Dice, sees a picture of one pixel.

    Args:
        losses: catalogue texts, modules or functions `(logits, target) -> loss`.
        target: 1 for a positive; 0 for a negative, which asymmetric losses treat differently.
        link: what losses without a link of their own are given: "sigmoid" one logit x and a float
            target, where the margin is x; "softmax" two logits and a class index, where it is their
            difference.
        widest: margins go from minus this to this; raising it shows more saturated samples.
        points: how many margins; raising it places peaks more exactly.

    Returns:
        `GradientCurves`.

    Raises:
        ValueError: for a single loss, names that repeat, or a target that is not 0 or 1.

    Example:
        The squared error of a sigmoid does not correct what is confidently wrong:

        >>> import torch
        >>> def squared(logits, target):
        ...     return 0.5 * (logits.sigmoid() - target) ** 2
        >>> curves = gradient_curves(["binary_cross_entropy", squared])
        >>> [f"{float(curves.gradients[name][0]):.6f}" for name in curves.gradients]
        ['0.999994', '0.000006']
        >>> [round(part, 2) for part in curves.peak("squared")]
        [0.33, 0.15]

    Reference:
        Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 6.2.2.
    """
    if target not in (0, 1):
        fail("target", "0 or 1", target, "1 is a sample of the class, 0 one of another")
    if points < 2:
        fail("points", "at least 2", points, "481 is the default")
    margins = torch.linspace(-widest, widest, points, dtype=torch.float64)
    values, gradients = {}, {}
    for name, loss in named(losses).items():
        values[name], gradients[name] = _along(loss, margins, target, _link_of(loss, link))
    return GradientCurves(margins, margins.sigmoid(), values, gradients)


def _link_of(loss: LossFunction, otherwise: Link) -> Link:
    own = getattr(loss, "link", None)
    return own if own in ("sigmoid", "softmax") else otherwise


def _along(loss: LossFunction, margins: Tensor, target: int, link: Link) -> tuple[Tensor, Tensor]:
    """Value and push at every margin, each sample in a batch of its own."""
    found = in_one_batch(loss, margins, (target,), link)
    if found is not None:
        together = (found[0][0], found[1][0])
        ends = torch.linspace(0, len(margins) - 1, 3).long()
        alone = _one_by_one(loss, margins[ends], target, link)
        if all(_same(whole[ends], part) for whole, part in zip(together, alone, strict=True)):
            return together
    return _one_by_one(loss, margins, target, link)


def _one_by_one(
    loss: LossFunction, margins: Tensor, target: int, link: Link
) -> tuple[Tensor, Tensor]:
    values, pushes = torch.zeros_like(margins), torch.zeros_like(margins)
    for at in range(len(margins)):
        logits, truth = _samples(margins[at : at + 1], target, link)
        values[at], slope = gradient(loss, logits, truth)
        pushes[at] = _push(slope, target, link)[0]
    return values, pushes


def in_one_batch(
    loss: LossFunction, margins: Tensor, targets: Sequence[int], link: Link
) -> tuple[Tensor, Tensor] | None:
    """Values and pushes of one batch with all margins, (targets, points) each.

    None for a loss that does not give them. Whether each depends on the others is not looked at.
    """
    found: list[Tensor] = []

    def watched(input: Tensor, truth: Tensor) -> Tensor:
        value = loss(input, truth)
        found.append(value.detach())
        return value

    parts = [_samples(margins, target, link) for target in targets]
    logits, truth = (torch.cat(each) for each in zip(*parts, strict=True))
    try:
        _, slope = gradient(watched, logits, truth)
    except (ValueError, RuntimeError):  # it takes one sample at a time
        return None
    shape = (len(targets), len(margins))
    if found[0].numel() != len(logits):
        return None
    slopes = slope.reshape(*shape, -1)
    pushes = [_push(each, target, link) for each, target in zip(slopes, targets, strict=True)]
    return found[0].reshape(shape).to(margins.dtype), torch.stack(pushes)


def _samples(margins: Tensor, target: int, link: Link) -> tuple[Tensor, Tensor]:
    """Logits and targets of samples whose truth has these margins."""
    if link == "sigmoid":
        logits = (margins if target else -margins).unsqueeze(1)
        return logits, torch.full_like(logits, target)
    logits = torch.zeros(len(margins), 2, dtype=margins.dtype)
    logits[:, target] = margins
    return logits, torch.full((len(margins),), target)


def _push(slope: Tensor, target: int, link: Link) -> Tensor:
    """How strongly each sample is pushed towards its truth."""
    if link == "sigmoid":
        return -slope[:, 0] if target else slope[:, 0]
    return -slope[:, target]


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)
