"""The gradient ratio of every class during a training: who is pushed up, who only down."""

from collections.abc import Sequence

from torch import Tensor

from taylored.lab.links import Loss
from taylored.monitor import GradientRatio


class WatchedLoss:
    """A loss whose gradient on the logits is counted, epoch by epoch."""

    def __init__(self, loss: Loss, groups: Sequence[str]) -> None:
        self._monitor = GradientRatio(loss, num_classes=len(groups), groups=groups)
        self.ratio: list[float] = []

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        value: Tensor = self._monitor(logits, target)
        return value

    def end_epoch(self) -> dict[str, float]:
        """Median ratio of each group of classes in this epoch; starts the next one."""
        self.ratio = self._monitor.ratio().tolist()
        scalars = self._monitor.scalars()
        self._monitor.reset()
        named = {name.replace("/", "_"): value for name, value in scalars.items()}
        groups = ("gradient_ratio_head", "gradient_ratio_medium", "gradient_ratio_tail")
        return {name: named[name] for name in groups if name in named}
