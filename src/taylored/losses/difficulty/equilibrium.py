"""Equilibrium loss (LOCE): classes that are scored high have to win by more."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.numerics import tensor_of
from taylored.core.plan.options import Options
from taylored.losses.difficulty.scored import ScoredLoss
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["EquilibriumLoss"]

_LOWEST = 1e-6
"""A mean score of 0, by underflow, would shut a class out of the softmax."""


class EquilibriumLoss(ScoredLoss):
    r"""Equilibrium loss, :math:`\phi(p_t)` with :math:`p_j \propto \bar s_j^{\tau} e^{z_j}`.

    :math:`\bar s_j` is the mean probability that samples of class j have been given as theirs so
    far. A class that scores high raises its own logits in training, so that a weak class has to win
    by log(s_j / s_t) against it, and is pushed down less by its samples. Unlike margins by counts
    this one goes away as the classes come into balance. At first it is the wrapped loss.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included. In training the loss
        needs the logits themselves, for a softmax without the margins. `indicator` is the
        `ClassScores`.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> loss = EquilibriumLoss(num_classes=2)
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]], requires_grad=True)
        >>> truth = torch.tensor([0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(1.1269, grad_fn=...), tensor(2.0181, grad_fn=...))
        >>> loss.indicator.mean()
        tensor([0.8808, 0.1192], dtype=torch.float64)

    Inference: `predict` is that of the wrapped loss, without the margin, which belongs to training;
    `posterior` undoes the margin of this moment.
    """

    tau: Annotated[
        float,
        About(
            "power of the mean scores; raising it enlarges the margins in favour of weak classes, "
            "0 changes nothing",
            within="[0, inf)",
            fix="1 is the published choice",
            search=(0.25, 2.0),
        ),
    ] = 1.0
    initial: Annotated[
        float,
        About(
            "mean score of a class that was not seen yet; lowering it favours such classes",
            within="(0, 1]",
            fix="0.01 is the published choice",
            fixed=True,
        ),
    ] = 0.01

    def unseen(self) -> float:
        """The score of a class without samples so far."""
        return self.initial

    def check(self) -> None:
        """Refuse a loss with another link, or that is no function of p_t."""
        if self.inner.link != "softmax" or not self.inner.has_term:
            known = "a softmax loss that is a function of p_t"
            fail("loss", known, repr(self.inner), "wrap CrossEntropyLoss(), FocalLoss(), ...")
        super().check()

    def score(self, outputs: Tensor) -> Tensor:
        """The probability of every class."""
        return torch.softmax(outputs, 1)

    @property
    def logit_bias(self) -> Tensor:
        """What is added to the logits in training: tau log s_j, with its maximum at 0."""
        bias = self.tau * torch.log(self.indicator.mean().clamp_min(_LOWEST))
        return bias - bias.amax(dim=0)

    def fill(self, options: Options) -> Options:
        """The margins, beside those that the wrapped loss has."""
        bias = self.logit_bias
        if options.temperature != 1.0:
            bias = bias * options.temperature  # which the engine divides it by
        if options.logit_bias is not None:
            bias = bias + tensor_of(options.logit_bias).to(bias)
        return options._replace(logit_bias=bias)


SPEC = spec_of(
    "equilibrium",
    EquilibriumLoss,
    summary="any softmax loss, with class margins from the mean score of each class (LOCE)",
    formula=r"\phi(p_t),\quad p_j = \frac{\bar s_j^{\tau} e^{z_j}}{\sum_k \bar s_k^{\tau} e^{z_k}}",
    reference=Reference(
        "Feng, Zhong, Huang",
        "Exploring Classification Equilibrium in Long-Tailed Object Detection",
        "ICCV 2021",
        "score-guided equilibrium loss",
    ),
    differs={
        "fcjian/LOCE": "EquilibriumLoss(mean_score): equal given the scores. There a class's mean "
        "moves by a fixed share at each batch from 0.01 on, and is that of one process; here it is "
        "a mean over samples, of all processes. Memory-augmented features are left out",
    },
    value_range="that of the wrapped loss",
    denominator="that of the wrapped loss",
    examples=("equilibrium()", "equilibrium(focal(gamma=2), tau=0.5)"),
    identities={"equilibrium(num_classes=5, tau=0)": "cross_entropy()"},
)
