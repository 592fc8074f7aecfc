"""Curves of a loss against the probability of the truth, and whose samples they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from taylored.analysis.curves import GradientCurves, gradient_curves, in_one_batch
from taylored.core.checks import fail
from taylored.explain.subject import Subject, quiet

Target = Literal[0, 1]

WIDEST, POINTS = 12.0, 240
"""The axis of the curves: margins from minus to plus this. An even number of them, because a loss
that compares classes may do something else where both are exactly alike."""

SLOWER = 3
"""How many times fewer points a loss gets that takes one sample at a time."""


@dataclass(frozen=True, eq=False)
class View:
    """A loss for the samples of one side.

    Args:
        side: whose samples: "all samples", "positives", "rare class", ...
        margins: logit of the truth against the alternative, rising, (points,).
        p_t: probability of the truth.
        value: the loss.
        gradient: `-dL/dmargin`, the push towards the truth.
        gain: the gradient over that of cross-entropy, 1 - p_t.

    """

    side: str
    margins: Tensor
    p_t: Tensor
    value: Tensor
    gradient: Tensor
    gain: Tensor

    def at(self, p: float) -> tuple[float, float, float]:
        """Loss, gradient and gain at a probability, between the points of the axis."""
        margin = torch.logit(torch.tensor(p, dtype=self.margins.dtype))
        step = self.margins[1] - self.margins[0]
        place = float(((margin - self.margins[0]) / step).clamp(0, len(self.margins) - 1))
        low = min(int(place), len(self.margins) - 2)
        part = place - low
        ends = ((line[low], line[low + 1]) for line in (self.value, self.gradient, self.gain))
        value, gradient, gain = (float(a + part * (b - a)) for a, b in ends)
        return value, gradient, gain

    def to_dict(self) -> dict[str, Any]:
        """Plain lists; a number that is not finite is None."""
        lines = ("margins", "p_t", "value", "gradient", "gain")
        return {"side": self.side} | {name: listed(getattr(self, name)) for name in lines}


def listed(values: Tensor) -> list[float | None]:
    """Numbers with nine digits, None for what is no number."""
    return [float(f"{v:.9g}") if abs(v) < float("inf") else None for v in values.tolist()]


def view_of(
    subject: Subject,
    target: Target,
    side: str,
    *,
    widest: float = WIDEST,
    points: int = POINTS,
) -> View:
    """The curves of the samples of one target; fewer points for a slower loss."""
    points = points if subject.at_once else points // SLOWER
    curves = _curves(subject, target, widest, points)
    name = subject.name
    return _view(side, curves.margins, curves.values[name], curves.gradients[name])


def lines_of(subject: Subject, targets: Sequence[Target], *, widest: float, points: int) -> Tensor:
    """Loss and gain of each target alone, (targets, 2, points), for one of many variants.

    Whether its samples depend on each other was tried on the loss that it is a variant of.
    """
    if subject.at_once:
        margins = torch.linspace(-widest, widest, points, dtype=torch.float64)
        with quiet():
            found = in_one_batch(subject.each, margins, targets, subject.link)
        if found is not None:
            values, gradients = found
            return torch.stack([values, gradients / (-margins).sigmoid()], dim=1)
    views = [view_of(subject, target, "", widest=widest, points=points) for target in targets]
    return torch.stack([torch.stack([view.value, view.gain]) for view in views])


def margins_of(subject: Subject, *, widest: float, points: int) -> Tensor:
    """Where these lines have their points."""
    count = points if subject.at_once else points // SLOWER
    return torch.linspace(-widest, widest, count, dtype=torch.float64)


def _view(side: str, margins: Tensor, value: Tensor, gradient: Tensor) -> View:
    # sigmoid(-x) and not 1 - p: the gain is exact where p is nearly 1.
    return View(side, margins, margins.sigmoid(), value, gradient, gradient / (-margins).sigmoid())


def sides_of(subject: Subject, others: list[Subject]) -> dict[Target, str]:
    """The sides that are shown: one, unless both differ for the loss or one of its variants."""
    for each in (subject, *others):
        first, second = (_curves(each, target, 6.0, 7) for target in (1, 0))
        pairs = ((one[subject.name], two[subject.name]) for one, two in (
            (first.values, second.values), (first.gradients, second.gradients)))  # fmt: skip
        if not all(torch.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in pairs):
            positive, negative = subject.sides()
            return {1: positive, 0: negative}
    return {1: "all samples"}


def _curves(subject: Subject, target: Target, widest: float, points: int) -> GradientCurves:
    try:
        with quiet():
            return gradient_curves(
                {subject.name: subject.each},
                target=target,
                link=subject.link,
                widest=widest,
                points=points,
            )
    except (ValueError, TypeError, RuntimeError) as error:
        fail("loss", "one that can be seen on a single sample of one logit or two classes",
             f"{subject.name}, which says: {error}", "explain the losses inside it")  # fmt: skip
