"""The gradient ratio of every class, measured beside any loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.engine.gradient_tap import GradientTap, tapping
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.sharded_logits import ShardedLogits
from taylored.core.plan.canonical import canonical
from taylored.core.state.distributed import as_group
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.state.micro_batches import Accumulating

Log = Callable[[dict[str, float], int], object]


class GradientRatio(nn.Module):
    r"""Measures the ratio of positive to negative gradient of every class beside a loss.

    A call calls the loss. In training mode it also reads the gradient on the logits. Classes with a
    ratio near 0 are mostly pushed down by samples of other classes, as those of the long tail are.
    The value and the gradient of the loss stay as they are. The gradient that is counted is that of
    the loss as it is returned: of a mean loss, each forward weighs alike, whatever its size.

    Args:
        loss: any callable (input, target) -> loss: of this library, torch's, or your own.
        num_classes: C.
        groups: a group name per class ("head", "tail", ...): their medians are logged.
        log: called as log(scalars, step) with a dict of names and numbers, for TensorBoard as
            `lambda scalars, step: [writer.add_scalar(*item, step) for item in scalars.items()]`.
        every: forwards between two logs; raising it costs less. Logging waits for the device.
        decay: factor on the old sums, in (0, 1]; lowering it shows the recent ratio only.
        process_group: the ranks whose batches are parts of one; None is all of them.

    Shape:
        As for the loss: input (N, C, d1, ...), target (N, d1, ...) class indices or the shape of
        `input`. Keyword arguments `sample_weight` and `normalizer` reach the loss where given. For
        `LinearLogits` and donated logits the loss has to be one of this library, as it stands.

    Returns:
        What the loss returns.

    Raises:
        ValueError: for a number of classes or groups that does not fit.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> monitor = GradientRatio(CrossEntropyLoss(), num_classes=3)
        >>> logits = torch.zeros(6, 3, requires_grad=True)
        >>> monitor(logits, torch.tensor([0, 0, 0, 0, 1, 1])).backward()
        >>> monitor.ratio()
        tensor([4.0000, 1.0000, 0.0000], dtype=torch.float64)
        >>> round(monitor.scalars()["gradient_ratio/median"], 6)
        1.0

    Reference:
        Tan et al., Equalization Loss v2, CVPR 2021: the ratio as a measure of imbalance.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor],
        *,
        num_classes: int,
        groups: Sequence[str] | None = None,
        log: Log | None = None,
        every: int = 100,
        decay: float = 1.0,
        process_group: Any = None,
    ) -> None:
        super().__init__()
        if groups is not None and len(groups) != num_classes:
            fail("groups", f"{num_classes} names, one per class", len(groups), "name every class")
        if every < 1:
            fail("every", "a whole number >= 1", every, "1 logs every forward")
        self.loss = loss
        self.groups = None if groups is None else tuple(groups)
        self.log = log
        self.every = every
        self.indicator = GradientIndicator(num_classes, decay=decay, process_group=process_group)
        self._since_log = 0

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss; in training mode its gradient is counted."""
        given = {"sample_weight": sample_weight, "normalizer": normalizer}
        options = {name: value for name, value in given.items() if value is not None}
        if not self.indicator.collecting():
            return self.loss(input, target, **options)
        self.indicator.refuse_side_effects()
        dim = getattr(self.loss, "class_dim", 1)  # any function can be watched
        tap = GradientTap(*_on_axis_1(dim, input, target))
        with tapping(tap):
            value = self.loss(input, target, **options)
        if isinstance(input, Tensor) and value.requires_grad and input.requires_grad:
            (gradient,) = torch.autograd.grad(value.sum(), input, retain_graph=True)
            gradient = canonical(gradient.movedim(dim, 1) if gradient.dim() > 1 else gradient)
            tap.begin(gradient)
            tap.add(gradient)
        found = tap.found()
        if found is not None and value.requires_grad:
            self.indicator.update(found)
            self._since_log += 1
            if self.log is not None and self._since_log >= self.every:
                self._since_log = 0
                self.log(self.scalars(), int(self.indicator.steps))
        return value

    def ratio(self) -> Tensor:
        """The ratio of each class since the last reset."""
        return self.indicator.ratio()

    def scalars(self) -> dict[str, float]:
        """Smallest, median and largest ratio over the classes, and the median of each group."""
        ratio = self.ratio()
        found = {"min": ratio.min(), "median": ratio.median(), "max": ratio.max()}
        for group in dict.fromkeys(self.groups or ()):
            inside = [i for i, name in enumerate(self.groups or ()) if name == group]
            found[group] = ratio[inside].median()
        return {f"gradient_ratio/{name}": value.item() for name, value in found.items()}

    def accumulate(self, micro_batches: int) -> None:
        """Let so many forwards together be one batch, here and in the loss."""
        for part in (self.indicator, self.loss):
            if isinstance(part, Accumulating):
                part.accumulate(micro_batches)

    @property
    def process_group(self) -> Any:
        """The ranks whose batches are parts of one; None is all of them."""
        return self.indicator.process_group

    @process_group.setter
    def process_group(self, group: Any) -> None:
        self.indicator.process_group = as_group(group)

    def reset(self) -> None:
        """Start again."""
        self.indicator.reset()


def _on_axis_1(class_dim: int, input: Logits, target: Tensor) -> tuple[torch.Size, Tensor]:
    """The shape of the logits, and their target, with the classes on axis 1."""
    if input.dim() < 2:
        return input.shape, target
    sizes = list(input.shape)
    if not isinstance(input, (LinearLogits, ShardedLogits)):  # whose classes are there already
        sizes.insert(1, sizes.pop(class_dim))
    return torch.Size(sizes), target.movedim(class_dim, 1) if target.dim() == len(sizes) else target
