"""Equalized focal loss: every class focuses by how starved of positive gradient it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass, Reduction
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.terms.term import Term
from taylored.losses.classification.focal import focal_term
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


def focusing(indicator: GradientIndicator, gamma: float, scale: float) -> Tensor:
    """gamma_j = gamma + scale (1 - g_j) per class, the ratio g_j clamped to [0, 1]."""
    return gamma + scale * (1.0 - indicator.ratio().clamp(0.0, 1.0))


class EqualizedFocalLoss(nn.Module):
    r"""Equalized focal: :math:`-\alpha_t \frac{\gamma_j}{\gamma} (1 - p_t)^{\gamma_j} \log p_t`.

    With the ratio g_j of the positive to the negative gradient that class j has received so far,
    clamped to [0, 1], gamma_j = gamma + scale (1 - g_j): starved classes focus harder on their hard
    samples, and the factor gamma_j / gamma gives back the size that focusing takes away. A class in
    balance (g_j = 1) has plain focal loss, as all have at the first step.

    Args:
        num_classes: C.
        gamma: focusing of a balanced class, > 0; raising it silences easy samples sooner.
        alpha: weight of positives, with 1 - alpha for negatives; a number or one per class in
            [0, 1]; raising it raises recall. None switches it off.
        scale: >= 0; raising it lets rare classes focus harder. 8 was published for RetinaNet-like
            detectors, 4 for YOLOX; 0 is focal loss.
        background_index: class-index target that means none of the classes, a row of negatives
            (mmdet: C). None: there is no such target.
        decay: factor on the old gradients at each update, in (0, 1]; lowering it forgets faster.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions (class-index targets) or elements with this target count for
            nothing. None switches it off.
        reduction: "none", "sum", "mean" or "batch_mean".

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices or the shape of `input` with
        0 / 1 or probabilities. `sample_weight` and `normalizer` as everywhere: a detector divides
        by its positives, `loss(input, target, normalizer=num_positives)`. `indicator` is the
        `GradientIndicator`; its sums are those of the loss after its denominator, as published.

    Returns:
        A scalar, or with reduction="none" one value per element, in [0, inf).

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = EqualizedFocalLoss(num_classes=2, alpha=None)
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(0.1733, grad_fn=...), tensor(0.0945, grad_fn=...))
        >>> loss.exponents()
        tensor([2.0000, 7.3333])

    Inference: the plain sigmoid of the logits, `predict`.

    Differs from:
        ModelTC/EOD: the same loss; labels there are 0 for background and 1..C, here 0..C-1 and
            background_index. Its "mean" without a normalizer is a sum. It reads the gradients of
            the last layer in a backward hook that needs one backward per forward and full
            precision; here they come from the forward.
        tcmyxc/Equalized-Focal-Loss: another loss: softmax, and no accumulated gradients.

    Reference:
        Li et al., Equalized Focal Loss for Dense Long-Tailed Object Detection, CVPR 2022,
        arXiv 2201.02593.
    """

    weight: Tensor | None
    alpha: float | Tensor | None

    def __init__(
        self,
        *,
        num_classes: int,
        gamma: float = 2.0,
        alpha: float | PerClass | None = 0.25,
        scale: float = 8.0,
        background_index: int | None = None,
        decay: float = 1.0,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        infinity = float("inf")
        in_range("gamma", gamma, 0.0, infinity, "2 is the published choice", interval="()")
        in_range("scale", scale, 0.0, infinity, "8 or 4 were published", interval="[)")
        self.gamma = float(gamma)
        self.scale = float(scale)
        self.num_classes = num_classes
        self.background_index = background_index
        self.decay = decay
        self.ignore_index = ignore_index
        self.reduction = reduction
        hold(self, "weight", weight)
        hold(self, "alpha", alpha)
        check_fields(self, "sigmoid")
        self.indicator = GradientIndicator(num_classes, decay=decay, scale="mean")

    @property
    def term(self) -> Term:
        """The loss as a term, with the focusing of the moment."""
        return focal_term(self.exponents())

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "sigmoid"

    def exponents(self) -> Tensor:
        """gamma_j, per class."""
        return focusing(self.indicator, self.gamma, self.scale)

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets; in training mode the gradients are counted."""
        exponents = self.exponents()
        factor = exponents / self.gamma
        options = Options(
            link="sigmoid",
            weight=factor if self.weight is None else factor * self.weight,
            alpha=self.alpha,
            ignore_index=self.ignore_index,
            background_index=self.background_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
            indicator=self.indicator,
        )
        return p_t_loss(input, target, focal_term(exponents), options)

    def predict(self, input: Tensor) -> Tensor:
        """Probability of each class (axis 1)."""
        return torch.sigmoid(input)

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="equalized_focal",
    family="long-tail",
    module=EqualizedFocalLoss,
    function=None,
    summary="focal loss whose focusing and weight follow each class's gradient ratio (EFL)",
    formula=(
        r"-\alpha_t\, \tfrac{\gamma_j}{\gamma} (1 - p_t)^{\gamma_j} \log p_t,\quad "
        r"\gamma_j = \gamma + s\,(1 - g_j)"
    ),
    parameters=(
        Parameter(
            "gamma",
            2.0,
            "number > 0",
            "focusing of a balanced class; raising it silences easy samples sooner",
            Search(0.5, 4.0),
        ),
        Parameter(
            "alpha",
            0.25,
            "number or one per class in [0, 1], or None",
            "weight of positives, 1 - alpha that of negatives; raising it raises recall",
            Search(0.05, 0.95),
        ),
        Parameter(
            "scale",
            8.0,
            "number >= 0",
            "extra focusing of a starved class; raising it lets rare classes focus harder",
            Search(0.0, 12.0),
        ),
        Parameter(
            "background_index",
            None,
            "whole number or None",
            "class-index target that means none of the classes: a row of negatives",
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
    denominator="elements; detectors pass the number of positives as `normalizer`",
    reference=Reference(
        "Li, Yao, Tan, Zhang, Yu, Lu, Luo",
        "Equalized Focal Loss for Dense Long-Tailed Object Detection",
        "CVPR 2022",
        "arXiv 2201.02593",
    ),
    differs=(
        (
            "ModelTC/EOD",
            "the same loss; labels there are 0 for background and 1..C, here 0..C-1 and "
            'background_index. Its "mean" without a normalizer is a sum. It reads the gradients '
            "of the last layer in a backward hook that needs one backward per forward and full "
            "precision; here they come from the forward",
        ),
        (
            "tcmyxc/Equalized-Focal-Loss",
            "another loss: softmax, and no accumulated gradients",
        ),
    ),
    examples=("equalized_focal()", "equalized_focal(gamma=0.5, alpha=None, scale=2)"),
    identities=(
        ("equalized_focal(gamma=1.5, alpha=None, scale=0)", 'focal(gamma=1.5, link="sigmoid")'),
    ),
    needs=frozenset({"num_classes"}),
)
