"""Losses that are no function of p_t, of logits or of a linear head that forms them."""

from __future__ import annotations

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.engine.elementwise import ElementBatch, Values, element_batch
from taylored.core.engine.elementwise_pass import Elementwise, Form, loss_of_form
from taylored.core.engine.linear import linear_pass
from taylored.core.engine.linear.evaluator import OfForm
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits
from taylored.core.plan.canonical import in_shape_of
from taylored.core.plan.options import Options


def element_loss(
    input: Logits, target: Tensor, values: Values, options: Options, *beside: Tensor
) -> Tensor:
    """One loss per element; for the softmax link their sum over the classes of a position.

    `weight` multiplies the elements of a class. `alpha`, `pos_weight` and `label_smoothing` mean
    different things in different losses: a loss that has them applies them itself, in `values`.
    """
    given = batch_of(input, target, options, *beside)
    return loss_of_input(input, given, Elementwise(values))


def batch_of(input: Logits, target: Tensor, options: Options, *beside: Tensor) -> ElementBatch:
    """The caller's arguments in canonical form; of a linear head, with an outline of its logits."""
    if not isinstance(input, LinearLogits) or beside:
        return element_batch(input, target, options, *beside)
    if input.sample is not None:
        fail("sample", "left out, where a loss is no function of the probability of the truth",
             f"{input.sample:g}", "use sample=None")  # fmt: skip
    return element_batch(input.outline(), target, options)


def loss_of_input(input: Logits, given: ElementBatch, form: Form) -> Tensor:
    """The loss of a form, of what `batch_of` has made of the input."""
    if isinstance(input, LinearLogits):
        loss = linear_pass.run(input, given.logits, given.plan, None, OfForm(form))
    else:
        loss = loss_of_form(given, form)
    return in_shape_of(input, loss, given.plan)
