"""An X-ray at one moment of a training, kept as a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from taylored.xray.curve import Curve
from taylored.xray.result import XRay

POWERS: Final = (1, 2, 3, 4)
"""The powers of 1 - p whose effects are kept."""


@dataclass(frozen=True)
class Moment:
    """What validation wants at one moment.

    Args:
        progress: which share of the training is over.
        validation_loss: its value.
        steepness: length of v, the gradient of the validation loss on the parameters.
        curve: mean dp over p, for each group.
        by_group: for each group dL_val / de_j for the powers 1, 2, ...
        by_class: the same for each class.

    """

    progress: float
    validation_loss: float
    steepness: float
    curve: Curve
    by_group: dict[str, tuple[float, ...]]
    by_class: tuple[tuple[float, ...], ...]

    @property
    def effects(self) -> tuple[float, ...]:
        """DL_val / de_j of all samples."""
        return tuple(map(sum, zip(*self.by_group.values(), strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return {**vars(self), "effects": self.effects, "curve": self.curve.to_dict()}


def moment_of(seen: XRay, progress: float, validation_loss: float) -> Moment:
    """The numbers that are kept of an X-ray."""
    by_group = [seen.effect_by_group(j) for j in POWERS]
    by_class = [seen.effect_by_class(j).tolist() for j in POWERS]
    return Moment(
        progress=progress,
        validation_loss=validation_loss,
        steepness=seen.steepness,
        curve=seen.curve(),
        by_group={name: tuple(each[name] for each in by_group) for name in by_group[0]},
        by_class=tuple(zip(*by_class, strict=True)),
    )
