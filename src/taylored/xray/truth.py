"""The probability of the truth that a training loss sees, and what each sample counts."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.inputs.given import read_target, usual
from taylored.core.links.margins import margin_of
from taylored.core.links.softmax import single_truth
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options
from taylored.core.plan.plan import Block, Plan, adjusted
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll
from taylored.modules.classification import ClassificationLoss
from taylored.xray.as_function import derivative


@dataclass(frozen=True, eq=False)
class Truth:
    """Margin of the true class and how it moves, one number per position.

    Args:
        target: the true class.
        coefficient: what the position's phi(p) is multiplied by in the loss: its class weight over
            the denominator, 0 where it counts for nothing.
        margin: log odds of the truth, after all that the loss does to the logits first.
        rate: how fast the margin changes along the direction of the logits.
        num_classes: how many the logits have.

    """

    target: Tensor
    coefficient: Tensor
    margin: Tensor
    rate: Tensor
    num_classes: int


def truth_of(loss: object, logits: Tensor, direction: Tensor, target: Tensor) -> Truth:
    """What the loss sees of logits (N, C, ...) that move in a direction of the same shape."""
    options = check_loss(loss)
    axis = loss.class_dim if isinstance(loss, ClassificationLoss) else 1
    logits, direction = logits.movedim(axis, 1), direction.movedim(axis, 1)
    if not usual(logits, target, 1):
        target = read_target(target, logits.shape, "softmax")
    canonical, plan = prepare(logits, target, nll, options)
    if not single_truth(plan):
        fail("target", "class indices, one true class per position",
             f"shape {tuple(target.shape)}", "take target.argmax(1)")  # fmt: skip
    classes = plan.target.unsqueeze(1)
    margin, rate = derivative(
        lambda z: _margin(z, plan, classes), canonical, direction.reshape(canonical.shape)
    )
    return Truth(
        target=plan.target.reshape(-1),
        coefficient=plan.rows.detach().reshape(-1),
        margin=margin.detach().reshape(-1),
        rate=rate.detach().reshape(-1),
        num_classes=canonical.shape[1],
    )


def _margin(logits: Tensor, plan: Plan, classes: Tensor) -> Tensor:
    block = Block(logits.to(computing_dtype(logits)), plan.target, plan.rows, None)
    return margin_of(adjusted(block, plan), classes)


def check_loss(loss: object) -> Options:
    """The options of a loss that an X-ray can be taken of; refuse every other."""
    options = Options()
    if isinstance(loss, ClassificationLoss):
        spec = getattr(type(loss), "spec", None)
        if loss._home != 1 or (spec is not None and spec.call == "features"):
            fail("loss", "one that is called on logits (N, C, ...) and classes alone", repr(loss),
                 "take cross_entropy, poly, balanced_softmax, ...")  # fmt: skip
        options = loss.options()
    link = getattr(loss, "link", "softmax")
    if link != "softmax" or options.margin is not None:
        got = repr(loss) if link == "softmax" else f'link="{link}"'
        mend = "take cross_entropy, poly, balanced_softmax, ..."
        if link != "softmax":
            mend = (
                "an X-ray asks for the p of one true class. For a yes or no take two outputs and "
                "class indices, cross_entropy for binary_cross_entropy; for many labels there is "
                "none"
            )
        fail("loss", "one of the softmax link without a margin on the true class", got, mend)
    if options.label_smoothing != 0.0:
        fail("label_smoothing", "0: p is that of the one true class", options.label_smoothing,
             "leave it out")  # fmt: skip
    if options.reduction == "none":
        fail("reduction", "one that gives one number", '"none"', 'use reduction="mean"')
    return options
