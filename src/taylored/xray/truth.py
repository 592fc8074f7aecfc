"""The probability of the truth that a training loss sees, and what each position counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.given import read_target, usual
from taylored.core.links.margins import margin_of
from taylored.core.links.sigmoid import hard_coefficient, hard_truth
from taylored.core.links.softmax import single_truth
from taylored.core.numerics import computing_dtype, harmless
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Block, Plan, adjusted
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll
from taylored.modules.classification import ClassificationLoss
from taylored.xray.as_function import derivative


@dataclass(frozen=True, eq=False)
class Truth:
    """Margin of the truth and how it moves: one number per position, or per element.

    Args:
        target: the true class of each position (softmax), or the label of each element (sigmoid).
        positive: whether the answer is yes, for each element; None for the softmax link.
        coefficient: what phi(p) is multiplied by in the loss: the weights over the denominator, 0
            for what counts for nothing.
        margin: log odds of the truth, after all that the loss does to the logits first.
        rate: how fast the margin changes along the direction of the logits.
        num_classes: how many the logits have.

    """

    target: Tensor
    positive: Tensor | None
    coefficient: Tensor
    margin: Tensor
    rate: Tensor
    num_classes: int


def plan_of(loss: object, options: Options, logits: Tensor, target: Tensor) -> tuple[Tensor, Plan]:
    """Canonical logits, (N, C[, S]), and what the loss makes of the target."""
    axis = _class_dim(loss)
    if target.dim() == logits.dim() > 1:
        target = target.movedim(axis, 1)
    logits = _at_home(logits, axis)
    if not usual(logits, target, 1):
        target = read_target(target, logits.shape, options.link)
    if options.link == "sigmoid" and target.is_floating_point():
        target = _yes_or_no(target, options.ignore_index)
    return prepare(logits, target, nll, options)


def truth_of(
    loss: object, options: Options, logits: Tensor, direction: Tensor, target: Tensor
) -> Truth:
    """What the loss sees of logits (N, C, ...) that move in a direction of the same shape."""
    canonical, plan = plan_of(loss, options, logits, target)
    direction = _at_home(direction, _class_dim(loss)).reshape(canonical.shape)
    of = _of_elements if options.link == "sigmoid" else _of_positions
    return of(canonical, direction, plan)


def _of_positions(logits: Tensor, direction: Tensor, plan: Plan) -> Truth:
    if not single_truth(plan):
        fail("target", "class indices, one true class per position",
             f"shape {tuple(plan.target.shape)}", "take target.argmax(1)")  # fmt: skip
    classes = plan.target.unsqueeze(1)
    margin, rate = derivative(
        lambda z: margin_of(adjusted(_block(z, plan), plan), classes), logits, direction
    )
    return Truth(
        target=plan.target.reshape(-1),
        positive=None,
        coefficient=plan.rows.detach().reshape(-1),
        margin=margin.detach().reshape(-1),
        rate=rate.detach().reshape(-1),
        num_classes=logits.shape[1],
    )


def _of_elements(logits: Tensor, direction: Tensor, plan: Plan) -> Truth:
    block = _block(logits, plan)
    yes = hard_truth(block, plan)
    assert yes is not None  # noqa: S101 - `plan_of` has made whole numbers of the target
    answer = yes.to(block.logits.dtype)
    coefficient = hard_coefficient(block, plan, answer).detach().expand(logits.shape)
    margin, rate = derivative(
        lambda z: harmless(
            (2.0 * answer - 1.0) * adjusted(_block(z, plan), plan), coefficient == 0
        ),
        logits,
        direction,
    )
    labels = torch.arange(logits.shape[1], device=logits.device)
    labels = labels.reshape(-1, *[1] * (logits.dim() - 2)).expand(logits.shape)
    return Truth(
        target=labels.reshape(-1),
        positive=yes.reshape(-1),
        coefficient=coefficient.reshape(-1),
        margin=margin.detach().reshape(-1),
        rate=rate.detach().reshape(-1),
        num_classes=logits.shape[1],
    )


def _class_dim(loss: object) -> int:
    return loss.class_dim if isinstance(loss, ClassificationLoss) else 1


def _at_home(logits: Tensor, axis: int) -> Tensor:
    return logits.movedim(axis, 1) if logits.dim() > 1 else logits


def _block(logits: Tensor, plan: Plan) -> Block:
    return Block(logits.to(computing_dtype(logits)), plan.target, plan.rows, None)


def _yes_or_no(target: Tensor, ignore: int | None) -> Tensor:
    """Truths that are 0 or 1 as whole numbers; refuse what lies between."""
    kept = torch.ones_like(target, dtype=torch.bool) if ignore is None else target != ignore
    wrong = kept & (target != 0) & (target != 1)
    if bool(wrong.any()):
        fail("target", "0 or 1 for each label: p is that of the one true answer",
             f"{float(target[wrong][0]):g}", "round it, target.round()")  # fmt: skip
    return target.long()
