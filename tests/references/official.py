"""Losses with state, batch after batch, as their authors' code steps them.

It reads the weights of a step from the state before it, takes the gradient of the naive loss by
autograd (which is what the official hooks collect) or, for Sigmoid-EQL, by the official formula,
and adds its absolute sums per class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from references.call import Call
from references.formulas import Parameters
from references.long_tail import sigmoid_eql_weights, truth_and_mask
from references.loss import reference_loss


class Official:
    """A loss and its state, batch after batch.

    Attributes:
        call: the loss.
        positive: accumulated gradient of each class where it was the truth.
        negative: and where it was not.
        steps: batches counted.
    """

    def __init__(self, call: Call, classes: int) -> None:
        self.call = call
        self.classes = classes
        self.positive = torch.zeros(classes, dtype=torch.float64)
        self.negative = torch.zeros(classes, dtype=torch.float64)
        self.steps = 0

    def step(self, logits: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        """Value and gradient of a training step, which is counted."""
        value, gradient = self.look(logits, target, **options)
        self.count(logits, target, gradient, **options)
        return value, gradient

    def look(self, logits: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        """Value and gradient in the present state, as a validation step would see them."""
        z = logits.detach().double().requires_grad_()
        value = reference_loss(self._now(), z, target, **options)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), gradient

    def count(self, logits: Tensor, target: Tensor, gradient: Tensor, **options: Any) -> None:
        """Add a batch whose loss had this gradient."""
        y = self._truth(logits, target)
        if self.call.name == "sigmoid_eql":
            gradient = self._sigmoid_eql_gradient(logits, target)
            if "sample_weight" in options:
                samples = options["sample_weight"]
                gradient = gradient * samples.reshape(-1, *[1] * (logits.dim() - 1))
        axes = [axis for axis in range(logits.dim()) if axis != 1]
        positive = (gradient.abs() * y).sum(dim=axes)[: self.classes]
        negative = (gradient.abs() * (1 - y)).sum(dim=axes)[: self.classes]
        decay = self.call.arguments.get("decay", 1.0)
        self.positive = decay * self.positive + positive
        self.negative = decay * self.negative + negative
        self.steps += 1

    def _now(self) -> Call:
        if self.steps == 0:
            return self.call
        state = {"positive": self.positive.tolist(), "negative": self.negative.tolist()}
        return replace(self.call, state=state)

    def _truth(self, logits: Tensor, target: Tensor) -> Tensor:
        """How an element's gradient is split: its target mass; a quality counts as a whole yes."""
        parameters = self.call.innermost().arguments
        y, _ = truth_and_mask(logits, target, parameters)
        if self.call.name == "equalized_quality_focal":
            return (y > 0).double()
        smoothing = parameters.get("label_smoothing", 0.0)
        return y * (1 - smoothing) + smoothing / logits.shape[1]

    def _sigmoid_eql_gradient(self, logits: Tensor, target: Tensor) -> Tensor:
        """Not divided by N; |sigmoid(x) - y| times the weight, for hard targets."""
        yes, no, y = sigmoid_eql_weights(logits.double(), target, self._with_state())
        p = 1 / (1 + torch.exp(-logits.double()))
        return no * (1 - y) * p - yes * y * (1 - p)

    def _with_state(self) -> Parameters:
        now = self._now()
        return {**now.arguments, **now.state}
