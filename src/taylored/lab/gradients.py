"""The gradient ratio of every class during a training: who is pushed up, who only down."""

from collections.abc import Sequence

import torch
from torch import Tensor

from taylored.lab.links import Loss
from taylored.monitor import GradientRatio


class WatchedLoss:
    """A loss whose gradient on the logits is counted, epoch by epoch."""

    def __init__(self, loss: Loss, groups: Sequence[str]) -> None:
        self._monitor = GradientRatio(loss, num_classes=len(groups), groups=groups)
        self._sums = torch.zeros(2, len(groups))

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        value: Tensor = self._monitor(logits, target)
        return value

    def end_epoch(self) -> dict[str, float]:
        """Median ratio of each group of classes in this epoch; starts the next one."""
        scalars = self._monitor.scalars()
        held = self._monitor.indicator
        self._sums += torch.stack([held.positive, held.negative])
        self._monitor.reset()
        named = {name.replace("/", "_"): value for name, value in scalars.items()}
        groups = ("gradient_ratio_head", "gradient_ratio_medium", "gradient_ratio_tail")
        return {name: named[name] for name in groups if name in named}

    def ratio(self) -> list[float]:
        """Ratio of each class over all epochs so far."""
        positive, negative = self._sums
        ratio: list[float] = (positive / (negative + 1e-10)).tolist()
        return ratio
