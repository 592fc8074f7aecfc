"""The sigmoid link: every element is a yes / no question of its own.

The truth of an element is a distribution over two outcomes, (y, 1 - y). Its loss is
a y phi(sigmoid(x)) + b (1 - y) phi(sigmoid(-x)), where a and b are the coefficients of the two
outcomes. For a hard target only the outcome that is true is evaluated, at the signed logit, unless
"no" has a term of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.inputs.targets import one_hot
from taylored.core.links.class_sums import RunningSums
from taylored.core.numerics import harmless, smoothed
from taylored.core.plan.plan import Block, Plan, adjusted, along_classes
from taylored.core.terms import fast_point
from taylored.core.terms.point import Point, continued, inside
from taylored.core.terms.term import Term


def value(block: Block, plan: Plan) -> Tensor:
    """Loss of each element, differentiable in any mode and in every slot."""
    x = adjusted(block, plan)
    term, rejection = bound(block, plan)
    truth = hard_truth(block, plan)
    if truth is not None and plan.rejection is None:
        coefficient = hard_coefficient(block, plan, truth.to(x.dtype))
        margin = harmless(torch.where(truth, x, -x), coefficient == 0)
        values = term.evaluate(Point(inside(margin)))
        return coefficient * continued(values, margin, coefficient)
    yes, no = _soft_coefficients(block, plan, x)
    x = harmless(x, (yes == 0) & (no == 0))
    at = Point(inside(x))
    yes_values = continued(term.evaluate(at), x, yes)
    return yes * yes_values + no * continued(rejection.evaluate(at.complement()), x, no)


def value_and_gradient(block: Block, plan: Plan, sums: RunningSums | None) -> tuple[Tensor, Tensor]:
    """Loss of each element, and the gradient of their sum on the logits.

    What is added to the `sums` is the gradient by the adjusted logits.
    """
    x = adjusted(block, plan)
    term, rejection = bound(block, plan)
    truth = hard_truth(block, plan)
    if truth is not None and plan.rejection is None:
        # Products with 0, 1 and -1 instead of `where`, which mispredicts its way through a mask.
        yes = truth.to(x.dtype)
        sign = 2.0 * yes - 1.0
        coefficient = hard_coefficient(block, plan, yes)
        margin = harmless(x * sign, coefficient == 0)
        values, slopes = term.evaluate_with_slope(fast_point.fixed(inside(margin)))
        pull = coefficient * slopes
        total = coefficient * continued(values, margin, coefficient)
        gradient = sign.neg_().mul_(pull)
        if sums is not None:
            if plan.target_kind == "index":
                sums.add_single(pull, block.target)
            else:
                sums.add_split(pull, yes)
    else:
        yes, no = _soft_coefficients(block, plan, x)
        x = harmless(x, (yes == 0) & (no == 0))
        at = fast_point.fixed(inside(x))
        yes_values, yes_slopes = term.evaluate_with_slope(at)
        no_values, no_slopes = rejection.evaluate_with_slope(at.complement())
        total = yes * continued(yes_values, x, yes) + no * continued(no_values, x, no)
        gradient = no * no_slopes - yes * yes_slopes
        if sums is not None:
            sums.add_split(gradient, _soft_truth(block, plan, x))
    return total, gradient if plan.temperature == 1.0 else gradient / plan.temperature


def bound(block: Block, plan: Plan) -> tuple[Term, Term]:
    """The terms of yes and of no, with per-class parameters along the class axis."""

    def pick(values: Tensor) -> Tensor:
        return along_classes(values, block.logits)

    term = plan.term.bind(pick)
    return term, term if plan.rejection is None else plan.rejection.bind(pick)


def hard_truth(block: Block, plan: Plan) -> Tensor | None:
    """The truth as a mask, if the kind or dtype of the target says that it is hard; else None."""
    if plan.smoothing:
        return None
    if plan.target_kind == "index":
        return one_hot(block.target, block.logits)
    if not block.target.is_floating_point():
        return block.target > 0
    return None


def _coefficient(values: Tensor | None, block: Block) -> Tensor | float:
    return 1.0 if values is None else along_classes(values, block.logits)


def _kept_rows(block: Block, plan: Plan) -> Tensor:
    """The coefficient of each element, zero where the element itself is ignored."""
    if plan.ignore is None or block.target.dtype == torch.bool:
        return block.rows
    return block.rows * (block.target != plan.ignore)


def hard_coefficient(block: Block, plan: Plan, truth: Tensor) -> Tensor:
    """Coefficient of the outcome that is true; `truth` is 1 or 0."""
    rows = _kept_rows(block, plan)
    if plan.positive is None and plan.negative is None:
        return rows
    yes, no = _coefficient(plan.positive, block), _coefficient(plan.negative, block)
    return rows * (truth * yes + (1.0 - truth) * no)


def _soft_truth(block: Block, plan: Plan, x: Tensor) -> Tensor:
    """Probability that the truth of an element is yes."""
    index = plan.target_kind == "index"
    y = (one_hot(block.target, block.logits) if index else block.target).to(x.dtype)
    if plan.ignore is not None:
        y = torch.where(block.target == plan.ignore, 0.0, y)
    return smoothed(y, plan.smoothing, 2)


def _soft_coefficients(block: Block, plan: Plan, x: Tensor) -> tuple[Tensor, Tensor]:
    y = _soft_truth(block, plan, x)
    rows = _kept_rows(block, plan)
    yes, no = _coefficient(plan.positive, block), _coefficient(plan.negative, block)
    return rows * yes * y, rows * no * (1.0 - y)
