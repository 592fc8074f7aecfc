"""Count the gradient ratio of every class while a model trains."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from taylored.core.engine.gradient_tap import GradientTap
from taylored.lab.data import GROUPS, Group
from taylored.lab.trial.links import LossFunction
from taylored.lab.trial_result import ratio_key
from taylored.monitor import GradientRatio


class WatchedLoss:
    """A loss whose gradient on the logits is counted, epoch by epoch.

    The gradient is counted in the backward of the training step. `GradientRatio` cannot know
    whether there will be a backward, so it computes the gradient a second time, which costs an
    eighth of a step of a small model.
    """

    def __init__(self, loss: LossFunction, groups: Sequence[Group]) -> None:
        self._loss = loss
        self._monitor = GradientRatio(loss, num_classes=len(groups), groups=groups)
        self._sums = torch.zeros(2, len(groups), dtype=torch.float64)  # as the monitor's

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, with a hook that counts the gradient in its backward."""
        value = self._loss(logits, target)
        logits.register_hook(partial(self._count, target))
        return value

    def _count(self, target: Tensor, gradient: Tensor) -> None:
        tap = GradientTap(gradient.shape, target)
        tap.begin(gradient)
        tap.add(gradient)
        sums = tap.found()
        assert sums is not None  # noqa: S101 - shown just now
        self._monitor.indicator.update(sums)

    def end_epoch(self) -> dict[str, float]:
        """Median ratio of each group in this epoch; starts the next one."""
        scalars = self._monitor.scalars()
        held = self._monitor.indicator
        self._sums += torch.stack([held.positive, held.negative])
        self._monitor.reset()
        named = {group: scalars.get(f"gradient_ratio/{group}") for group in GROUPS}
        return {ratio_key(group): value for group, value in named.items() if value is not None}

    def ratio(self) -> list[float]:
        """Ratio of each class over all epochs so far."""
        positive, negative = self._sums
        ratio: list[float] = (positive / (negative + 1e-10)).tolist()
        return ratio
