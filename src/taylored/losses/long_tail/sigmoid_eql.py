"""Sigmoid-EQL (EQL v2): positives turned up and negatives turned down by the gradient ratio."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range, one_of
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass, Reduction
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold

Background = Literal["none", "column"]


class SigmoidEQLLoss(nn.Module):
    r"""Sigmoid-EQL (EQL v2), :math:`-q_j\, y \log p - r_j\, (1 - y) \log (1 - p)`.

    With the ratio g_j of the positive to the negative gradient that class j has received so far
    (reweighted, as it was), r_j = f(g_j) turns the negatives of a starved class down and
    q_j = 1 + alpha (1 - f(g_j)) its positives up; f(g) = sigmoid(gamma (g - mu)). A class in
    balance (g_j >= 1) is left alone, and at the first step the loss is binary cross-entropy.

    Args:
        num_classes: C, without the background column.
        alpha: >= 0; raising it raises the positives of rare classes, to at most 1 + alpha.
        gamma: slope of f, > 0; raising it makes f a step.
        mu: ratio at which a class counts as half balanced; raising it treats more classes as rare.
        background: "column": the input has one more, last, column, the objectness (background)
            column of a detector; its target index is C, it keeps weight 1, it is not counted, and
            `predict` multiplies by what it leaves. "none": plain classification or multi-label.
        decay: factor on the old gradients at each update, in (0, 1]; lowering it forgets faster.
        weight: one number per column; raising a class's weight favours it.
        ignore_index: positions (class-index targets) or elements with this target count for
            nothing. None switches it off.
        reduction: "none", "sum", "mean" or "batch_mean". The published loss divides by the number
            of samples: "batch_mean".

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices or the shape of `input` with
        0 / 1 or probabilities. `sample_weight` and `normalizer` as everywhere. `indicator` is the
        `GradientIndicator`; its sums are not divided by the batch size, as published.

    Returns:
        A scalar, or with reduction="none" one value per element, in [0, inf).

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = SigmoidEQLLoss(num_classes=2, reduction="batch_mean")
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(1.3863, grad_fn=...), tensor(1.5589, grad_fn=...))
        >>> loss.predict(logits.detach())[0]
        tensor([0.5000, 0.5000])

    Inference: sigmoid scores; with background="column" times 1 - p(background), `predict`.

    Differs from:
        tztztztztz/eqlv2: equal with background='column' and reduction='batch_mean'; there
            `all_reduce` is called without a process group too, evaluation forwards count, and the
            `weight`, `avg_factor` and `reduction` arguments are ignored.
        mmdetection: its EQLV2Loss leaves out the sum over the processes, so that each counts its
            own part of the data.

    Reference:
        Tan et al., Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object
        Detection, CVPR 2021, gradient guided reweighting.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        num_classes: int,
        alpha: float = 4.0,
        gamma: float = 12.0,
        mu: float = 0.8,
        background: Background = "none",
        decay: float = 1.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        infinity = float("inf")
        in_range("alpha", alpha, 0.0, infinity, "4 is the published choice", interval="[)")
        in_range("gamma", gamma, 0.0, infinity, "12 is the published choice", interval="()")
        in_range("mu", mu, -infinity, infinity, "0.8 is the published choice", interval="()")
        one_of("background", background, ("none", "column"))
        self.num_classes = num_classes
        self.background = background
        self.decay = decay
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, "sigmoid")
        # After the check of the shared fields: here these two names mean the paper's constants.
        self.alpha = float(alpha)
        self.gamma = float(gamma)
        self.mu = float(mu)
        self.indicator = GradientIndicator(num_classes, initial=100.0, decay=decay, scale="sum")

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "sigmoid"

    def outcome_weights(self) -> tuple[Tensor, Tensor]:
        """q_j of the positives and r_j of the negatives, per column."""
        balance = torch.sigmoid(self.gamma * (self.indicator.ratio() - self.mu))
        if self.background == "column":
            balance = torch.cat([balance, balance.new_ones(1)])
        return 1.0 + self.alpha * (1.0 - balance), balance

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets; in training mode the gradients are counted."""
        positive, negative = self.outcome_weights()
        options = Options(
            link="sigmoid",
            weight=self.weight,
            pos_weight=positive,
            neg_weight=negative,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
            indicator=self.indicator,
            uncounted=int(self.background == "column"),
        )
        return p_t_loss(input, target, self.term, options)

    def predict(self, input: Tensor) -> Tensor:
        """Probability of each class (axis 1), the background column applied and left out."""
        scores = torch.sigmoid(input)
        if self.background == "none":
            return scores
        return scores[:, :-1] * (1.0 - scores[:, -1:])

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="sigmoid_eql",
    family="long-tail",
    module=SigmoidEQLLoss,
    function=None,
    summary="binary cross-entropy, positives and negatives balanced by the gradient ratio (EQL v2)",
    formula=(
        r"-q_j\, y \log p - r_j\, (1 - y) \log (1 - p),\quad "
        r"r_j = \sigma(\gamma (g_j - \mu)),\; q_j = 1 + \alpha (1 - r_j)"
    ),
    parameters=(
        Parameter(
            "alpha",
            4.0,
            "number >= 0",
            "raising it raises the positives of rare classes, to at most 1 + alpha",
            Search(0.0, 8.0),
        ),
        Parameter("gamma", 12.0, "number > 0", "slope of the mapping; raising it makes it a step"),
        Parameter(
            "mu",
            0.8,
            "number",
            "ratio at which a class is half balanced; raising it treats more classes as rare",
            Search(0.2, 1.0),
        ),
        Parameter(
            "background",
            "none",
            '"none" or "column"',
            "whether the last column is a detector's objectness (background) column",
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
    shared=("weight", "ignore_index", "reduction"),
    links=("sigmoid",),
    targets=("index", "probabilities", "multi-hot"),
    value_range="[0, inf)",
    denominator="elements; the official code divides by samples (batch_mean)",
    reference=Reference(
        "Tan, Lu, Zhang, Yin, Li",
        "Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object Detection",
        "CVPR 2021",
        "gradient guided reweighting",
    ),
    differs=(
        (
            "tztztztztz/eqlv2",
            "equal with background='column' and reduction='batch_mean'; there `all_reduce` is "
            "called without a process group too, evaluation forwards count, and the `weight`, "
            "`avg_factor` and `reduction` arguments are ignored",
        ),
        (
            "mmdetection",
            "its EQLV2Loss leaves out the sum over the processes, so that each counts its own part "
            "of the data",
        ),
    ),
    examples=("sigmoid_eql()", 'sigmoid_eql(alpha=2, gamma=3, mu=0.4, reduction="batch_mean")'),
    needs=frozenset({"num_classes"}),
)
