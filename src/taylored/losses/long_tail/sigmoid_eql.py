"""Sigmoid-EQL (EQL v2): positives turned up and negatives turned down by the gradient ratio."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from taylored.core.logistic import log_sigmoid, logaddexp
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import Options
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, Decay, Group, NumClasses, WeightedLoss

__all__ = ["SigmoidEQLLoss"]


class SigmoidEQLLoss(WeightedLoss, BackgroundLoss):
    r"""Sigmoid-EQL (EQL v2), :math:`-q_j\, y \log p - r_j\, (1 - y) \log (1 - p)`.

    With the ratio g_j of the positive to the negative gradient that class j has received so far
    (reweighted, as it was), r_j = f(g_j) turns the negatives of a starved class down and
    q_j = 1 + alpha (1 - f(g_j)) its positives up; f(g) = sigmoid(gamma (g - mu)). A class in
    balance (g_j >= 1) is left alone, and at the first step the loss is binary cross-entropy. The
    published loss divides by the number of samples: reduction="batch_mean".

    Example:
        >>> import torch
        >>> loss = SigmoidEQLLoss(num_classes=2, reduction="batch_mean")
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(1.3863, grad_fn=...), tensor(1.5589, grad_fn=...))
        >>> loss.predict(logits.detach())[0], loss.posterior(logits.detach())[0]
        (tensor([False, False]), tensor([0.5000, 0.5000]))

    State: `indicator`, a `GradientIndicator`, counts the gradients of every training forward. Its
    sums are not divided by the batch size, as published.

    Inference: the sigmoid of each class; with background="column" times 1 - p(background).
    `predict` is yes where that is above 1/2; `posterior` undoes the weights of this moment.
    """

    link = "sigmoid"
    alpha: Annotated[
        float,
        About(
            "how far the positives of rare classes are turned up, to at most 1 + alpha; raising it "
            "favours rare classes",
            within="[0, inf)",
            fix="4 is the published choice",
            search=(0.0, 8.0),
        ),
    ] = 4.0
    gamma: Annotated[
        float,
        About(
            "slope of the mapping f; raising it makes f a step",
            within="(0, inf)",
            fix="12 is the published choice",
        ),
    ] = 12.0
    mu: Annotated[
        float,
        About(
            "ratio at which a class is half balanced; raising it treats more classes as rare",
            fix="0.8 is the published choice",
            search=(0.2, 1.0),
        ),
    ] = 0.8
    background: Annotated[
        Literal["none", "column"],
        About(
            '"column": the input has one more, last, column, the objectness (background) column of '
            "a detector; its target index is num_classes, it keeps weight 1, it is not counted, "
            'and probabilities are multiplied by what it leaves. "none": plain classification or '
            "multi-label"
        ),
    ] = "none"
    decay: Decay = 1.0
    num_classes: NumClasses
    process_group: Group = None

    def setup(self) -> None:
        """Start to count gradients."""
        self.indicator = GradientIndicator(
            self.num_classes, initial=100.0, decay=self.decay, scale="sum"
        )

    def derive(self) -> None:
        """Count with the ranks of the process group."""
        self.indicator.process_group = self.process_group

    def extra_columns(self) -> int:
        """The background column, which no class counts."""
        return int(self.background == "column")

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    def outcome_weights(self) -> tuple[Tensor, Tensor]:
        """q_j of the positives and r_j of the negatives, per column."""
        balance = torch.sigmoid(self.gamma * (self.indicator.ratio() - self.mu))
        if self.background == "column":
            balance = torch.cat([balance, balance.new_ones(1)])
        return 1.0 + self.alpha * (1.0 - balance), balance

    def fill(self, options: Options) -> Options:
        """The options with the weights of the moment; this forward is to be counted."""
        positive, negative = self.outcome_weights()
        return options._replace(
            pos_weight=positive,
            neg_weight=negative,
            indicator=self.indicator,
            uncounted=self.extra_columns(),
        )

    def published(self, outputs: Tensor) -> Tensor:
        """The outputs, the background column applied and left out."""
        return self._of_classes(outputs)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of cross-entropy with the weights of the moment, without the background column."""
        return self._of_classes(super().calibrated(outputs, options))

    def _of_classes(self, logits: Tensor) -> Tensor:
        """Log odds of each class and not the background."""
        if self.background == "none":
            return logits
        wide = logits.to(computing_dtype(logits))
        yes, no = log_sigmoid(wide[:, :-1]), log_sigmoid(-wide[:, :-1])
        free, background = log_sigmoid(-wide[:, -1:]), log_sigmoid(wide[:, -1:])
        return yes + free - logaddexp(no, yes + background)


SPEC = spec_of(
    "sigmoid_eql",
    SigmoidEQLLoss,
    summary="binary cross-entropy, positives and negatives balanced by the gradient ratio (EQL v2)",
    formula=r"-q_j\, y \log p - r_j\, (1 - y) \log (1 - p),\quad "
    r"r_j = \sigma(\gamma (g_j - \mu)),\; q_j = 1 + \alpha (1 - r_j)",
    reference=Reference(
        "Tan, Lu, Zhang, Yin, Li",
        "Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object Detection",
        "CVPR 2021",
        "gradient guided reweighting",
    ),
    differs={
        "tztztztztz/eqlv2": "equal with background='column' and reduction='batch_mean'; there "
        "`all_reduce` is called without a process group too, evaluation forwards count, and the "
        "`weight`, `avg_factor` and `reduction` arguments are ignored",
        "mmdetection": "its EQLV2Loss leaves out the sum over the processes, so that each counts "
        "its own part of the data",
    },
    examples=("sigmoid_eql()", 'sigmoid_eql(alpha=2, gamma=3, mu=0.4, reduction="batch_mean")'),
)
