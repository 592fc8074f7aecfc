"""`xray`: from one training step to what every coefficient of the loss does to validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from taylored.analysis.named import LossFunction
from taylored.core.checks import fail, in_range
from taylored.core.plan.options import LinkName
from taylored.xray.as_function import Function, Parameters, as_function, evaluated
from taylored.xray.asked import built, options_of, said_link, seen_link, training_loss
from taylored.xray.looks import Batch, Step
from taylored.xray.result import XRay

_JUDGES: Final[Mapping[LinkName, str]] = {
    "softmax": "cross_entropy",
    "sigmoid": "binary_cross_entropy",
}


def xray(
    model: nn.Module | Function,
    loss: str | LossFunction,
    train: Batch,
    validation: Batch,
    *,
    learning_rate: float,
    validation_loss: str | LossFunction | None = None,
    parameters: Mapping[str, Tensor] | None = None,
    scale: Mapping[str, Tensor] | None = None,
    groups: Sequence[str] | None = None,
) -> XRay:
    r"""What more or less of each power of 1 - p in the loss does to the validation loss.

    The training loss is a sum over the batch. Position i has class t_i, counts :math:`c_i` (its
    class weight over the denominator of the mean), and has the probability p_i that the loss sees:
    the softmax, at t_i, of the logits after the loss's scale, bias and temperature. With the
    sigmoid link i is an element, a row and a label: its truth is yes or no, p_i the probability of
    that answer, and c_i has the weights of positives or of negatives. To it e_j q^j is added, with
    q = 1 - p:

    .. math:: L(\theta; e) = L_0(\theta) + \sum_i c_i \sum_j e_j q_i^j

    One step of SGD leads to :math:`\theta' = \theta - \eta \nabla L(\theta; e)`, which is linear in
    e. With v, the gradient of the validation loss at :math:`\theta'` for e = 0,

    .. math:: \frac{d L_{val}(\theta')}{d e_j} = -\eta \langle v, \nabla \sum_i c_i q_i^j \rangle
              = \eta \sum_i c_i\, j\, q_i^{j-1}\, dp_i, \qquad dp_i = \langle \nabla p_i, v \rangle

    because :math:`\nabla q_i^j = -j q_i^{j-1} \nabla p_i`: the two signs cancel. All dp_i fall out
    of one forward-mode derivative of the training logits along v. From them follow every j, and the
    derivative on an e_j of a class or group of its own, which is the same sum over its samples.
    A sample with dp < 0 becomes more probable on the way downhill: to push it more helps.

    This is exact for a step of this size: v is taken after the step. It is the effect of one step,
    which says nothing about later ones.

    Args:
        model: a module, or a function `(parameters, inputs) -> logits` (N, C, ...). A module is
            looked at in evaluation mode and stays as it is.
        loss: the training loss, a catalogue text or `(logits, target) -> loss`. A function of yours
            is taken to be a mean of plain logits: with the softmax link over the positions, each of
            which has one true class; with the sigmoid link over the elements. Its attribute `link`
            says which; without one, a target in the shape of the logits is of the sigmoid link.
        train: inputs of the step, and class indices, or 0 and 1 for each label.
        validation: the same of the rows that it is judged by.
        learning_rate: of the step; the derivatives grow with it.
        validation_loss: what it is judged by; cross-entropy of the loss's link if left out. A sum
            of class means is the loss behind balanced accuracy.
        parameters: those of a model that is a function.
        scale: what the optimizer multiplies the gradient of each parameter by, by name; AdamW's is
            1 / (sqrt(v) + eps). None for plain SGD.
        groups: a name for each class or label, such as head, medium and tail.

    Returns:
        `XRay`, with one number for every position or element. `XRay.outcomes` keeps positives and
        negatives apart.

    Raises:
        ValueError: for soft or smoothed targets, margins on the true class, losses without a
            reduction, a learning rate that is no positive number.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(64, 5, generator=generator), torch.arange(64) % 3
        >>> model = torch.nn.Linear(5, 3)
        >>> _ = torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
        >>> seen = xray(model, "cross_entropy", (x[:32], y[:32]), (x[32:], y[32:]),
        ...             learning_rate=0.1)
        >>> seen.p[:3], seen.effect(1)
        (tensor([0.3333, 0.3333, 0.3333]), tensor(0.0033, dtype=torch.float64))

    Reference:
        Leng et al., PolyLoss, ICLR 2022, equation 1, for the series.
    """
    in_range("learning_rate", learning_rate, 0.0, math.inf, "that of the training", interval="()")
    chosen = training_loss(loss)
    function, at = as_function(model, parameters)
    link = said_link(chosen)
    if link is None:
        with torch.no_grad(), evaluated(model):
            link = seen_link(function(at, train[0]), train[1])
    options_of(chosen, link)
    judge = built(_JUDGES[link] if validation_loss is None else validation_loss)
    step = Step(
        function=function,
        at=at,
        loss=chosen,
        link=link,
        judge=judge,
        learning_rate=learning_rate,
        scale=_factors(scale, at),
        modules=(model, chosen, judge),
    )
    (seen,) = step.looks([train], [validation], groups)
    return seen


def _factors(scale: Mapping[str, Tensor] | None, at: Parameters) -> Mapping[str, Tensor | float]:
    if scale is None:
        return dict.fromkeys(at, 1.0)
    if missing := at.keys() - scale.keys():
        fail("scale", "a tensor for every trained parameter", f"none for {min(missing)}",
             "give a one where the gradient is used as it is")  # fmt: skip
    return scale
