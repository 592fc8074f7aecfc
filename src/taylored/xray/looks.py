"""One step of gradient descent, seen from the validation loss: part by part of its batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from torch import Tensor

from taylored.analysis.named import LossFunction
from taylored.core.checks import fail
from taylored.core.plan.options import LinkName, Options
from taylored.xray.as_function import Function, Parameters, derivative, evaluated, gradient
from taylored.xray.asked import options_of
from taylored.xray.result import XRay
from taylored.xray.truth import plan_of, truth_of

Batch = tuple[Tensor, Tensor]
"""Inputs of the model, and classes or labels."""


@dataclass(frozen=True, eq=False)
class Step:
    """A step of gradient descent, and what it is judged by.

    Args:
        function: the model, as a function of its parameters and inputs.
        at: the parameters before the step.
        loss: the training loss.
        link: its link.
        judge: the validation loss.
        learning_rate: that of the step.
        scale: what the optimizer multiplies the gradient of each parameter by.
        modules: what is evaluated, and not trained, while we look.

    """

    function: Function
    at: Parameters
    loss: LossFunction
    link: LinkName
    judge: LossFunction
    learning_rate: float
    scale: Mapping[str, Tensor | float]
    modules: tuple[object, ...]

    def looks(
        self,
        train: Sequence[Batch],
        validation: Sequence[Batch],
        groups: Sequence[str] | None = None,
    ) -> Iterator[XRay]:
        """The X-ray of each part of the step's batch, with the coefficients of the whole batch.

        The memory is that of one part. Values of the `judge` are added up over the parts of the
        validation data. A loss that is more than a sum over its positions, such as a rank over the
        batch, is evaluated in each part by itself.
        """
        with evaluated(*self.modules):
            slope, shares = self._slope(train)
            after = {
                name: each - self.learning_rate * self.scale[name] * slope[name]
                for name, each in self.at.items()
            }
            worse = _added(
                gradient(partial(self._judged, batch=batch), after) for batch in validation
            )
        direction = {name: self.scale[name] * each for name, each in worse.items()}
        length = math.sqrt(sum(float(each.double().square().sum()) for each in direction.values()))
        for (inputs, target), share in zip(train, shares, strict=True):
            with evaluated(*self.modules):
                logits, moved = derivative(partial(self._logits, inputs=inputs), self.at, direction)
                truth = truth_of(self.loss, self._options, logits.detach(), moved.detach(), target)
            yield XRay(
                learning_rate=self.learning_rate,
                target=truth.target,
                positive=truth.positive,
                coefficient=truth.coefficient * share,
                margin=truth.margin,
                rate=truth.rate,
                steepness=length,
                num_classes=truth.num_classes,
                groups=_groups(groups, truth.num_classes),
                logits=logits.detach(),
                direction=moved.detach(),
            )

    def _logits(self, found: Parameters, inputs: Tensor) -> Tensor:
        return self.function(found, inputs)

    @property
    def _options(self) -> Options:
        return options_of(self.loss, self.link)

    def _judged(self, found: Parameters, batch: Batch) -> Tensor:
        inputs, target = batch
        return self.judge(self.function(found, inputs), target)

    def _slope(self, train: Sequence[Batch]) -> tuple[Parameters, list[float]]:
        """The gradient of the training loss of all parts, and the share that each has in it.

        The parts of a mean count by what each is divided by; those of a sum are added up.
        """
        amounts: list[float] = []

        def value(found: Parameters, batch: Batch) -> Tensor:
            inputs, target = batch
            logits = self.function(found, inputs)
            amounts.append(self._amount(logits.detach(), target))
            return self.loss(logits, target) * amounts[-1]

        total = _added(gradient(partial(value, batch=batch), self.at) for batch in train)
        whole = 1.0 if self._options.reduction == "sum" else sum(amounts) or 1.0
        slope = {name: each / whole for name, each in total.items()}
        return slope, [amount / whole for amount in amounts]

    def _amount(self, logits: Tensor, target: Tensor) -> float:
        _, plan = plan_of(self.loss, self._options, logits, target)
        return 1.0 if plan.denominator is None else float(plan.denominator)


def _added(parts: Iterable[Parameters]) -> Parameters:
    """The sum of gradients; one after the other, so that only two are there at a time."""
    return reduce(lambda a, b: {name: a[name] + b[name] for name in a}, parts)


def _groups(groups: Sequence[str] | None, classes: int) -> tuple[str, ...] | None:
    if groups is not None and len(groups) != classes:
        fail("groups", f"one name for each of the {classes} classes", len(groups),
             "see taylored.lab.data.class_groups(counts)")  # fmt: skip
    return None if groups is None else tuple(groups)
