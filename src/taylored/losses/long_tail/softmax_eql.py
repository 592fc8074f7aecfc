"""Softmax-EQL: a margin per class that follows the positive gradient it has received."""

from __future__ import annotations

import copy
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range, one_of
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.terms.term import Term
from taylored.losses.classification.cross_entropy import CrossEntropyLoss
from taylored.losses.long_tail.inner import check_inner, inner_options
from taylored.modules.class_axis import softmax_of
from taylored.modules.spec import REQUIRED, Parameter, Reference, Search, Spec, describe

Floor = Literal["gradient", "share"]


class SoftmaxEQLLoss(nn.Module):
    r"""Softmax-EQL, :math:`\phi(p_t)` with :math:`p_j \propto G_j^{\tau} e^{z_j}`.

    G_j is the absolute gradient that class j has received as the truth so far. Classes that have
    learned much raise their own logits during training, so that rare classes have to win by a
    larger margin, as with balanced softmax; but the size of the margin is read from the training
    itself and not from class counts. At the first step it is the wrapped loss.

    Args:
        loss: the loss to equalize, of the softmax family; it is copied and holds the vocabulary
            (`weight`, `ignore_index`, `label_smoothing`, `reduction`). Default: cross-entropy.
        num_classes: C.
        tau: exponent, >= 0; raising it enlarges the margins in favour of rare classes. 0 changes
            nothing.
        floor: what keeps classes without gradient finite. "gradient": G_j >= 1e-4, the first
            published version; "share": 1e-9 is added to (G_j / sum G)^tau, the second.
        decay: factor on the old gradients at each update, in (0, 1]; lowering it forgets faster.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included. `indicator` is the
        `GradientIndicator`; its sums are those of the mean loss, as published, so that its size
        (and with it the floor's) depends on the reduction.

    Returns:
        What the wrapped loss returns.

    Raises:
        ValueError: for a loss with another link or a parameter out of its domain.

    Example:
        >>> import torch
        >>> loss = SoftmaxEQLLoss(num_classes=2)
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(0.6931, grad_fn=...), tensor(0.5623, grad_fn=...))
        >>> loss.predict(logits.detach())[0]
        tensor([0.5000, 0.5000])

    Inference: the plain softmax of the logits, `predict`; the margin belongs to training.

    Differs from:
        ModelTC/EOD: softmax_eql is floor='gradient', softmax_eqlv2 is floor='share'; there the
            gradients are collected by a backward hook, here in the forward, from the same numbers.
            Over several processes it adds up gradients of local means, here the state is that of
            one process on the concatenated batch. Its other indicators (negative gradient, ratio)
            are left out; one of them adds a ratio to a sum.

    Reference:
        Tan et al., The Equalization Losses: Gradient-Driven Training for Long-tailed Object
        Recognition, arXiv 2210.05566, Softmax-EQL.
    """

    def __init__(
        self,
        loss: nn.Module | None = None,
        *,
        num_classes: int,
        tau: float = 1.0,
        floor: Floor = "gradient",
        decay: float = 1.0,
    ) -> None:
        super().__init__()
        in_range("tau", tau, 0.0, float("inf"), "1 is the published choice", interval="[)")
        one_of("floor", floor, ("gradient", "share"))
        self.loss = cast(Any, CrossEntropyLoss() if loss is None else copy.deepcopy(loss))
        check_inner(self.loss, "softmax")
        self.tau = tau
        self.floor = floor
        self.decay = decay
        self.num_classes = num_classes
        self.indicator = GradientIndicator(num_classes, decay=decay, scale="mean")

    @property
    def term(self) -> Term:
        """The wrapped loss as a term."""
        return cast(Term, self.loss.term)

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "softmax"

    def bias(self) -> Tensor:
        """What is added to the logits in training: tau log G_j, floored, with its maximum at 0."""
        received = self.indicator.received()
        if self.floor == "gradient":
            bias = self.tau * torch.log(received.clamp_min(1e-4))
        else:
            share = received / (received.sum() + 1e-4)
            bias = torch.log(share**self.tau + 1e-9)
        return bias - bias.amax()

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets; in training mode the gradients are counted."""
        options = inner_options(
            self.loss,
            logit_bias=self.bias(),
            sample_weight=sample_weight,
            normalizer=normalizer,
        )._replace(indicator=self.indicator)
        return p_t_loss(input, target, self.term, options)

    def predict(self, input: Tensor) -> Tensor:
        """Probabilities of the classes (axis 1): the softmax of the logits as they are."""
        return softmax_of(input)

    def __repr__(self) -> str:
        inner = repr(self.loss)
        return describe(self, SPEC, first="" if inner == repr(CrossEntropyLoss()) else inner)


SPEC = Spec(
    name="softmax_eql",
    family="long-tail",
    module=SoftmaxEQLLoss,
    function=None,
    summary="any softmax loss, with class margins from the gradient each class has received",
    formula=r"\phi(p_t),\quad p_j = \frac{G_j^{\tau} e^{z_j}}{\sum_k G_k^{\tau} e^{z_k}}",
    parameters=(
        Parameter(
            "tau",
            1.0,
            "number >= 0",
            "exponent of the accumulated gradient; raising it favours rare classes",
            Search(0.25, 2.0),
        ),
        Parameter(
            "floor",
            "gradient",
            '"gradient" or "share"',
            "what keeps unseen classes finite: G >= 1e-4, or 1e-9 added to the normalised power",
        ),
        Parameter(
            "decay",
            1.0,
            "number in (0, 1]",
            "factor on the old gradients at each update; lowering it forgets faster",
        ),
        Parameter(
            "num_classes",
            REQUIRED,
            "whole number >= 1",
            "number of classes; taken from the data where that is known",
        ),
    ),
    shared=(),
    links=("softmax",),
    targets=("index", "probabilities"),
    value_range="that of the wrapped loss",
    denominator="that of the wrapped loss",
    reference=Reference(
        "Tan, Li, Lu, Yao, Yu, He, Ouyang",
        "The Equalization Losses: Gradient-Driven Training for Long-tailed Object Recognition",
        "arXiv 2210.05566",
        "Softmax-EQL",
    ),
    differs=(
        (
            "ModelTC/EOD",
            "softmax_eql is floor='gradient', softmax_eqlv2 is floor='share'; there the gradients "
            "are collected by a backward hook, here in the forward, from the same numbers. Over "
            "several processes it adds up gradients of local means, here the state is that of one "
            "process on the concatenated batch. Its other indicators (negative gradient, ratio) "
            "are left out; one of them adds a ratio to a sum",
        ),
    ),
    examples=(
        "softmax_eql()",
        'softmax_eql(focal(gamma=0.5), tau=0.7, floor="share")',
    ),
    identities=(("softmax_eql(poly(epsilon=2), tau=0)", "poly(epsilon=2)"),),
    inner="optional",
    needs=frozenset({"num_classes"}),
)
