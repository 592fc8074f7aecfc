"""An X-ray at one moment of a training, kept as a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from taylored.xray.curve import Curve, curve_of
from taylored.xray.result import XRay

POWERS: Final = (1, 2, 3, 4)
"""The powers of 1 - p whose effects are kept."""


@dataclass(frozen=True)
class Outcome:
    """What validation wants of the samples with one kind of truth.

    Args:
        curve: mean dp over p, for each group.
        by_group: for each group dL_val / de_j for the powers 1, 2, ...
        by_class: the same for each class.

    """

    curve: Curve
    by_group: dict[str, tuple[float, ...]]
    by_class: tuple[tuple[float, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return {**vars(self), "curve": self.curve.to_dict()}


@dataclass(frozen=True)
class Moment:
    """What validation wants at one moment.

    Args:
        progress: which share of the training is over.
        validation_loss: its value.
        steepness: length of v, the gradient of the validation loss on the parameters.
        outcomes: "truth" for the softmax link, "positives" and "negatives" for the sigmoid link.

    """

    progress: float
    validation_loss: float
    steepness: float
    outcomes: dict[str, Outcome]

    @property
    def effects(self) -> tuple[float, ...]:
        """DL_val / de_j of all samples."""
        rows = [row for each in self.outcomes.values() for row in each.by_group.values()]
        return tuple(map(sum, zip(*rows, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        outcomes = {name: each.to_dict() for name, each in self.outcomes.items()}
        return {**vars(self), "effects": self.effects, "outcomes": outcomes}


def moment_of(looks: Iterable[XRay], progress: float, validation_loss: float) -> Moment:
    """The numbers that are kept of an X-ray, which comes in parts."""
    found: dict[str, _Sums] = {}
    for seen in looks:
        for name, part in seen.outcomes().items():
            sums = _Sums.of(part)
            found[name] = found[name] + sums if name in found else sums
    return Moment(
        progress=progress,
        validation_loss=validation_loss,
        steepness=seen.steepness,
        outcomes={name: sums.outcome() for name, sums in found.items()},
    )


@dataclass(frozen=True, eq=False)
class _Sums:
    """What is kept of the samples of a part: sums for each bin, and for each class and power."""

    groups: tuple[str, ...]
    edges: Sequence[float]
    bins: Tensor
    effects: Tensor

    @classmethod
    def of(cls, part: XRay) -> _Sums:
        effects = torch.stack([part.effect_by_class(j) for j in POWERS], dim=1)
        return cls(part.named_groups(), part.edges(), part.bin_sums(part.edges()), effects)

    def __add__(self, other: _Sums) -> _Sums:
        return replace(self, bins=self.bins + other.bins, effects=self.effects + other.effects)

    def outcome(self) -> Outcome:
        names = tuple(dict.fromkeys(self.groups))
        own = {name: torch.tensor([group == name for group in self.groups]) for name in names}
        return Outcome(
            curve=curve_of(self.bins, names, self.edges),
            by_group={
                name: tuple(self.effects[mask.to(self.effects.device)].sum(0).tolist())
                for name, mask in own.items()
            },
            by_class=tuple(map(tuple, self.effects.tolist())),
        )
