"""The plan of some of the classes: those that are true in the batch, and others drawn at random.

The others stand for all that were not drawn. With the logarithm of their chance to be drawn taken
off their logits, each counts for as many as it stands for, and the sum of exponentials over the
classes that are there is right on average, whatever the batch.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.context import eager
from taylored.core.plan.plan import Plan


class Drawn(NamedTuple):
    """Some of the classes.

    Attributes:
        classes: their numbers, ascending.
        correction: what is added to the logit of each: 0 for those that are true somewhere, minus
            the logarithm of their chance for the others.
    """

    classes: Tensor
    correction: Tensor


def check_drawable(plan: Plan) -> None:
    """Refuse what some of the classes cannot stand for."""
    if plan.link != "softmax":
        fail("sample", 'left out with link="sigmoid", whose classes share no sum', "a share",
             "use sample=None")  # fmt: skip
    if plan.target_kind != "index" or plan.smoothing != 0.0:
        fail("sample", "left out where every class has target mass",
             "probabilities as targets, or label_smoothing",
             "use class indices and label_smoothing=0, or sample=None")  # fmt: skip
    if not eager():
        fail("sample", "left out inside torch.compile and torch.func, where no class can be looked"
             " at", "a share", "call the loss outside, or use sample=None")  # fmt: skip


def drawn(plan: Plan, total: int, share: float, generator: torch.Generator | None) -> Drawn:
    """The true classes of the batch, and a share of all others, each as likely."""
    device = plan.target.device
    counted = plan.rows.reshape(-1) != 0
    true = plan.target.reshape(-1)[counted].clamp(0, total - 1).unique()
    free = torch.ones(total, dtype=torch.bool, device=device)
    free[true] = False
    others = free.nonzero().squeeze(1)
    count = math.ceil(share * len(others))
    source = device if generator is None else generator.device
    order = torch.randperm(len(others), generator=generator, device=source)[:count].to(device)
    classes = torch.cat([true, others[order]]).sort().values
    correction = math.log(len(others) / count) if count else 0.0
    return Drawn(classes, torch.where(free[classes], correction, 0.0).double())


def plan_of_drawn(plan: Plan, some: Drawn) -> Plan:
    """The plan for the logits of these classes."""

    def pick(values: Tensor) -> Tensor:
        return values.reshape(-1).to(some.classes.device)[some.classes]

    bias = some.correction * plan.temperature  # which the engine divides it by
    last = max(0, len(some.classes) - 1)
    return replace(
        plan,
        term=plan.term.bind(pick) if plan.term.parameters() else plan.term,
        target=torch.searchsorted(some.classes, plan.target).clamp_max(last),
        scale=None if plan.scale is None else pick(plan.scale),
        bias=bias if plan.bias is None else bias + pick(plan.bias),
    )
