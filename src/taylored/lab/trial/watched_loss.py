"""The gradient ratio of every class during a training: who is pushed up, who only down."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from taylored.core.engine.gradient_tap import Watch
from taylored.lab.trial.links import Loss
from taylored.monitor import GradientRatio


class WatchedLoss:
    """A loss whose gradient on the logits is counted, epoch by epoch.

    It is counted when the training step computes it: `GradientRatio`, which cannot know whether
    there will be a backward, asks for it a second time, an eighth of a step of a small model.
    """

    def __init__(self, loss: Loss, groups: Sequence[str]) -> None:
        self._loss = loss
        self._monitor = GradientRatio(loss, num_classes=len(groups), groups=groups)
        self._sums = torch.zeros(2, len(groups))

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss; its backward is what counts."""
        value = self._loss(logits, target)
        logits.register_hook(partial(self._count, target))
        return value

    def _count(self, target: Tensor, gradient: Tensor) -> None:
        watch = Watch(gradient.shape, target)
        watch.begin(gradient)
        watch.see(gradient)
        sums = watch.found()
        assert sums is not None  # noqa: S101 - shown just now
        self._monitor.indicator.update(sums)

    def end_epoch(self) -> dict[str, float]:
        """Median ratio of each group in this epoch; starts the next one."""
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
