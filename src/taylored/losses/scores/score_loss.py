"""The base of losses of one score per yes / no question: what the score of the answer costs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail
from taylored.core.posterior.readable import Readable
from taylored.modules.base import Takes
from taylored.modules.values import Domain, ValueCall, ValueLoss, check_alike, value_loss

Costs = Callable[[Tensor], Tensor]
"""What margins cost, one by one. The margin is the score where the answer is yes, else minus it."""


def score_loss(costs: Costs, input: Tensor, target: Tensor, **shared: Unpack[ValueCall]) -> Tensor:
    """The loss of scores against answers, from what margins cost."""
    values = functools.partial(_values, costs)
    return value_loss(values, input, answers(input, target), domain=check_answers, **shared)


def _values(costs: Costs, input: Tensor, target: Tensor) -> Tensor:
    return costs(margins(input, target))


def margins(input: Tensor, target: Tensor) -> Tensor:
    """m = x where the answer is yes, -x where it is no; -1 is a no where nobody looks at values."""
    return input * (2.0 * target.detach() - 1.0).clamp(-1.0, 1.0)


def answers(input: Tensor, target: Tensor) -> Tensor:
    """The answers as numbers of the scores' dtype; what is no answer per score is refused."""
    check_floats(input=input)
    if not isinstance(target, Tensor) or target.is_complex():
        got = str(getattr(target, "dtype", type(target).__name__))
        fail("target", "a tensor of 0 and 1, of any dtype", got, "use torch.as_tensor(target)")
    target = target if target.is_floating_point() else target.to(input.dtype)
    check_alike(input=input, target=target)
    return target


def check_answers(_input: Tensor, target: Tensor) -> None:
    """Refuse answers other than 0 and 1.

    -1 is refused, too: it is "no" for some and "unknown" for others, and whoever gives it has to
    say which.
    """
    # Two passes where nothing is wrong; an answer of infinity passes as a yes.
    if torch.equal(target * target, target):
        return
    wrong = (target != 0) & (target != 1) & ~target.isnan()
    if not bool(wrong.any()):
        return
    got = float(target[wrong][0])
    fix = "leave positions out by sample_weight=0"
    if got == -1:
        fix = f"use (target + 1) / 2 for answers of -1 and 1; where -1 is no answer, {fix}"
    elif 0 < got < 1:
        fix = "use binary_cross_entropy for probabilities, or (target > 0.5)"
    fail("target", "0 or 1", f"{got:g}", fix)


class ScoreLoss(Readable, ValueLoss):
    """A loss of real scores against answers, 0 or 1; a subclass fills `costs`.

    `posterior` is the probability of a yes, and `predict` says yes where the score is positive.
    """

    takes: ClassVar[Takes] = "scores"
    shapes: ClassVar[str] = (
        "input (...), real scores; target of the same shape, 0 or 1 of any dtype, one answer per "
        "score."
    )

    @property
    def domain(self) -> Domain:
        """The answers are 0 or 1."""
        return check_answers

    def costs(self, margin: Tensor) -> Tensor:
        """What margins cost; the slot of a subclass."""
        raise NotImplementedError

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """One value per score."""
        return self.costs(margins(input, target))

    def decisions(self, outputs: Tensor) -> Tensor:
        """Yes where the score is positive."""
        return outputs > 0

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of scores against answers."""
        given = answers(input, target)
        return super().forward(input, given, sample_weight=sample_weight, normalizer=normalizer)
