"""Softmax-EQL: a margin per class that follows the positive gradient it has received."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.numerics import tensor_of
from taylored.core.plan.options import Options
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.losses.as_loss import as_loss_or_cross_entropy
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Decay, Group, NumClasses
from taylored.modules.wrapper import WrapperLoss

__all__ = ["SoftmaxEQLLoss"]


class SoftmaxEQLLoss(WrapperLoss):
    r"""Softmax-EQL, :math:`\phi(p_t)` with :math:`p_j \propto G_j^{\tau} e^{z_j}`.

    G_j is the absolute gradient that class j has received as the truth so far. Classes that have
    learned much raise their own logits during training, so that rare classes have to win by a
    larger margin, as with balanced softmax; but the size of the margin is read from the training
    itself and not from class counts. At the first step it is the wrapped loss.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included. `indicator` is the
        `GradientIndicator`; its sums are those of the mean loss, as published, so that its size
        (and with it the floor's) depends on the reduction.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> loss = SoftmaxEQLLoss(num_classes=2)
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(0.6931, grad_fn=...), tensor(0.5623, grad_fn=...))
        >>> loss.predict(logits.detach())[0], loss.posterior(logits.detach())[0]
        (tensor(0), tensor([0.6429, 0.3571]))

    Inference: `predict` is that of the wrapped loss, without the margin, which belongs to training;
    `posterior` undoes the margin of this moment.
    """

    link = "softmax"
    loss: Annotated[
        nn.Module | None,
        About(
            "the loss to equalize, which holds the shared vocabulary (`weight`, `reduction`, ...); "
            "it is copied",
            domain="a softmax loss that is a function of p_t, or torch's CrossEntropyLoss; by "
            "default cross-entropy",
            fixed=True,
            convert=as_loss_or_cross_entropy,
        ),
    ] = positional(default=None, kw_only=False)
    tau: Annotated[
        float,
        About(
            "exponent of the accumulated gradient; raising it enlarges the margins in favour of "
            "rare classes, 0 changes nothing",
            within="[0, inf)",
            fix="1 is the published choice",
            search=(0.25, 2.0),
        ),
    ] = 1.0
    floor: Annotated[
        Literal["gradient", "share"],
        About(
            'what keeps classes without gradient finite. "gradient": G >= 1e-4, the first '
            'published version; "share": 1e-9 is added to (G_j / sum G)^tau, the second'
        ),
    ] = "gradient"
    decay: Decay = 1.0
    num_classes: NumClasses
    process_group: Group = None

    def setup(self) -> None:
        """Start to count gradients."""
        self.indicator = GradientIndicator(self.num_classes, decay=self.decay, scale="mean")

    def derive(self) -> None:
        """Count with the ranks of the process group."""
        self.indicator.process_group = self.process_group

    def check(self) -> None:
        """Refuse a loss with another link, no term, or an indicator of its own."""
        counts = self.inner.options().indicator is not None
        if self.inner.link != "softmax" or not self.inner.has_term or counts:
            known = "a softmax loss that is a function of p_t and counts no gradients itself"
            fail("loss", known, repr(self.inner), "wrap CrossEntropyLoss(), FocalLoss(), ...")
        super().check()

    @property
    def logit_bias(self) -> Tensor:
        """What is added to the logits in training: tau log G_j, floored, with its maximum at 0."""
        received = self.indicator.received()
        if self.floor == "gradient":
            bias = received.clamp_min(1e-4).log_()  # a tensor of its own
            if self.tau != 1.0:
                bias = self.tau * bias
        else:
            share = received / (received.sum() + 1e-4)
            bias = torch.log(share**self.tau + 1e-9)
        return bias - bias.amax(dim=0)

    def fill(self, options: Options) -> Options:
        """The margins, beside those that the wrapped loss has; this forward is to be counted."""
        bias = self.logit_bias
        if options.temperature != 1.0:
            bias = bias * options.temperature  # which the engine divides it by
        if options.logit_bias is not None:
            bias = bias + tensor_of(options.logit_bias).to(bias)
        return options._replace(logit_bias=bias, indicator=self.indicator)


SPEC = spec_of(
    "softmax_eql",
    SoftmaxEQLLoss,
    summary="any softmax loss, with class margins from the gradient each class has received",
    formula=r"\phi(p_t),\quad p_j = \frac{G_j^{\tau} e^{z_j}}{\sum_k G_k^{\tau} e^{z_k}}",
    reference=Reference(
        "Tan, Li, Lu, Yao, Yu, He, Ouyang",
        "The Equalization Losses: Gradient-Driven Training for Long-tailed Object Recognition",
        "arXiv 2210.05566",
        "Softmax-EQL",
    ),
    differs={
        "ModelTC/EOD": "softmax_eql is floor='gradient', softmax_eqlv2 is floor='share'; there "
        "the gradients are collected by a backward hook, here in the forward, from the same "
        "numbers. Over several processes it adds up gradients of local means, here the state is "
        "that of one process on the concatenated batch. Its other indicators (negative gradient, "
        "ratio) are left out; one of them adds a ratio to a sum",
    },
    targets=("index", "probabilities"),
    value_range="that of the wrapped loss",
    denominator="that of the wrapped loss",
    examples=(
        "softmax_eql()",
        'softmax_eql(focal(gamma=0.5), tau=0.7, floor="share")',
    ),
    identities={"softmax_eql(poly(epsilon=2), tau=0)": "poly(epsilon=2)"},
)
