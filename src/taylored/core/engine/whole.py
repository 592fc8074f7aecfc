"""The executor that is right everywhere, and what a compiler fuses: one expression."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from taylored.core.context import compiling
from taylored.core.engine.executor import Swept, gradient_dtype
from taylored.core.inputs.targets import check_truths
from taylored.core.links import sigmoid, softmax
from taylored.core.links.class_sums import ClassSums, RunningSums
from taylored.core.plan.plan import Block, Plan, sums_by_logits

LINKS = {"softmax": softmax, "sigmoid": sigmoid}

_FEW = 1 << 15
"""Truths, up to which looking at them takes microseconds; larger batches have other executors."""


@dataclass(frozen=True)
class Whole:
    """One expression over the whole batch."""

    name: str = "whole"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Always."""
        return True

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone. Differentiable in every slot and mode: this is the reference."""
        _look(plan)
        block = Block(logits, plan.target, plan.rows, plan.margin)
        return _reduced(LINKS[plan.link].value(block, plan), plan)

    def sweep(
        self,
        logits: Tensor,
        plan: Plan,
        *,
        sums: ClassSums | None = None,
        into: Tensor | None = None,
    ) -> Swept:
        """Loss, gradient and sums."""
        _look(plan)
        block = Block(logits, plan.target, plan.rows, plan.margin)
        running = None if sums is None else RunningSums.of(logits)
        values, gradient = LINKS[plan.link].value_and_gradient(block, plan, running)
        gradient = gradient.to(gradient_dtype(logits)) if into is None else into.copy_(gradient)
        if sums is not None and running is not None:
            sums.add(sums_by_logits(running.stacked(), plan))
        return Swept(_reduced(values, plan), gradient)


def _look(plan: Plan) -> None:
    """Refuse truths of a small batch that are none: for a large one it is a pass more."""
    dense = plan.link == "sigmoid" and plan.target_kind == "dense"
    if dense and not compiling() and plan.target.numel() <= _FEW:
        check_truths(plan.target, plan.ignore, plan.rows)


def _reduced(values: Tensor, plan: Plan) -> Tensor:
    return values if plan.output == "each" else values.sum()


WHOLE = Whole()
