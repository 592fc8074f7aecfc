"""Margins that are a function of the true class's logit itself, such as one on its angle.

A margin that is a constant moves the log odds, and is a term (`core/terms/shifted.py`). One that
depends on the logit changes its derivative besides, and is a slot of the plan: what it adds to the
true logit, and how that grows with the logit. Both are numbers per position; the logits are neither
copied nor changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

Take = Callable[[Tensor], Tensor]
"""Some of the positions of one number per position, or the same numbers in another shape."""


class TruthMargin(Protocol):
    """What is added to the logit of the true class, in training."""

    def added(self, logit: Tensor) -> Tensor:
        """What is added to these logits; differentiable in any mode, finite for infinite ones."""
        ...

    def growth(self, logit: Tensor) -> Tensor:
        """The derivative of that by the logit."""
        ...

    def at(self, take: Take) -> TruthMargin:
        """The same for other positions: `take` is applied to what there is one of per position."""
        ...


@dataclass(frozen=True, eq=False)
class AngularMargin:
    r"""cos(theta + angle) - less, in the place of the cosine of theta to the true class.

    Beyond pi the cosine would rise again, and below 0 it would fall: there the cosine goes on along
    a line, :math:`\cos\theta - a \sin a`, and is 1. Logits outside of [-1, 1], which are no
    cosines, are moved by as much as the nearest end.

    Attributes:
        angle: added to the angle, in radians, at most pi/2 either way; one number, or one per
            position.
        less: taken off the cosine; likewise.
    """

    angle: float | Tensor
    less: float | Tensor = 0.0

    def added(self, logit: Tensor) -> Tensor:
        """What is added to these cosines."""
        at = self._seen(logit)
        moved = at.cosine * at.cos - at.sine * at.sin - at.cosine
        moved = torch.where(at.beyond, -self.angle * at.sin, moved)
        return torch.where(at.below, 1.0 - at.cosine, moved) - self.less

    def growth(self, logit: Tensor) -> Tensor:
        """The derivative of that."""
        at = self._seen(logit)
        slope = torch.where(at.beyond, 0.0, at.cos - 1.0 + at.sin * at.cosine / at.sine)
        return torch.where(at.outside, 0.0, torch.where(at.below, -1.0, slope))

    def at(self, take: Take) -> AngularMargin:
        """The same for other positions."""
        return AngularMargin(
            *(take(each) if isinstance(each, Tensor) else each for each in (self.angle, self.less))
        )

    def _seen(self, logit: Tensor) -> _Angles:
        angle = self.angle
        of = torch if isinstance(angle, Tensor) else math
        cos, sin = of.cos(angle), of.sin(angle)
        outside = ~(logit.abs() < 1.0)
        cosine = torch.where(outside, logit.detach().clamp(-1.0, 1.0), logit)
        # The derivative of the sine is infinite at both ends, and not asked for there.
        inner = torch.where(outside, 0.0, logit)
        sine = torch.where(outside, 0.0, torch.sqrt((1.0 - inner) * (1.0 + inner)))
        beyond = (cosine <= -cos) & (angle > 0.0)
        below = (cosine >= cos) & (angle < 0.0)
        return _Angles(cos, sin, cosine, sine, outside, beyond, below)


class _Angles(NamedTuple):
    """Cosine and sine of the margin, and of the angle to the true class; where it is at an end."""

    cos: float | Tensor
    sin: float | Tensor
    cosine: Tensor
    sine: Tensor
    outside: Tensor
    beyond: Tensor
    below: Tensor
