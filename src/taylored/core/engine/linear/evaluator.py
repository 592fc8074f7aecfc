"""What makes a loss of logits and a plan: the executors of a term, or a form of a loss.

The walk over features and weight is the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from taylored.core.engine import elementwise_pass, executors, tensor_pass
from taylored.core.engine.blocked import Collector, cached
from taylored.core.engine.elementwise import ElementBatch
from taylored.core.engine.elementwise_pass import Form
from taylored.core.engine.executor import Executor, Swept
from taylored.core.engine.gradient_tap import active_tap
from taylored.core.engine.whole import WHOLE
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.plan import Plan


class Evaluator(Protocol):
    """What makes a loss of logits and a plan."""

    def executor(self, logits: Tensor, plan: Plan) -> Executor:
        """Who runs the logits of some positions."""

    def reaches_further(self, logits: Tensor, plan: Plan) -> bool:
        """Whether it has tensors, besides those of the plan, that could want a gradient."""

    def composed(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss of all logits, differentiable in every slot and mode: the reference."""

    def loss(self, logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
        """The loss of all logits, whose gradient is reported to the active tap."""


@dataclass(frozen=True)
class OfTerm:
    """The loss is a function of p_t, the plan's term."""

    def executor(self, logits: Tensor, plan: Plan) -> Executor:
        """The first that accepts."""
        return executors.choose(logits, plan)

    def reaches_further(self, logits: Tensor, plan: Plan) -> bool:
        """The term's are those of the plan."""
        return False

    def composed(self, logits: Tensor, plan: Plan) -> Tensor:
        """One expression."""
        return WHOLE.value(logits, plan)

    def loss(self, logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
        """As for logits in a tensor."""
        return tensor_pass.run_reporting(logits, plan, sums)


@dataclass(frozen=True, eq=False)
class OfForm:
    """The loss has values of its own, one for each position; it is its own executor."""

    form: Form
    name: str = "form"

    def executor(self, logits: Tensor, plan: Plan) -> Executor:
        """The form itself."""
        return self

    def reaches_further(self, logits: Tensor, plan: Plan) -> bool:
        """As for logits in a tensor; an outline of them is enough."""
        return elementwise_pass.reaches_further(ElementBatch(logits, plan, ()), self.form)

    def composed(self, logits: Tensor, plan: Plan) -> Tensor:
        """One expression."""
        return self.form.composed(ElementBatch(logits, plan, ()))

    def loss(self, logits: Tensor, plan: Plan, sums: ClassSums | None) -> Tensor:
        """As for logits in a tensor."""
        tap = active_tap()
        if tap is not None:
            tap.begin(logits)
            tap.add(self.sweep(logits.detach(), plan).gradient)
        return elementwise_pass.loss_of_form(ElementBatch(logits, plan, ()), self.form)

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Always."""
        return True

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone, piece by piece."""
        collected = Collector(logits, plan)
        given = ElementBatch(logits, plan, ())
        for place in cached(logits):
            collected.add(place, self.form.each(given.piece(place)))
        return collected.loss()

    def sweep(
        self,
        logits: Tensor,
        plan: Plan,
        *,
        sums: ClassSums | None = None,
        into: Tensor | None = None,
    ) -> Swept:
        """Loss and gradient, piece by piece."""
        assert sums is None  # noqa: S101 - no such loss counts its gradients
        return elementwise_pass.sweep_of_form(ElementBatch(logits, plan, ()), self.form, into)


OF_TERM = OfTerm()
