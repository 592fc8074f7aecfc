"""Equalized quality focal loss: the equalized focal loss for scores instead of 0 and 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taylored.core.checks import in_range
from taylored.core.engine.elementwise import Elements, Own, coefficients, elements, own
from taylored.core.engine.elementwise_pass import loss_of, pieces
from taylored.core.engine.one_pass import undivided
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.options import Options, PerClass, Reduction
from taylored.core.plan.plan import along_classes
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.terms.point import Point
from taylored.losses.detection_quality.quality_focal import quality_focal_values
from taylored.losses.long_tail.equalized_focal import focusing
from taylored.modules.fields import check_fields
from taylored.modules.spec_old import REQUIRED, Parameter, Reference, Search, Spec, describe, hold


class EqualizedQualityFocalLoss(nn.Module):
    r"""Equalized quality focal, :math:`\frac{\gamma_j}{\gamma}\,|y - p|^{\gamma_j}\, BCE(p, y)`.

    The target y of a positive is the quality of its box (its IoU), that of a negative 0. With the
    ratio g_j of the positive to the negative gradient that class j has received so far, clamped to
    [0, 1], gamma_j = gamma + scale (1 - g_j), as in the equalized focal loss. With hard targets and
    all classes in balance it is the focal loss.

    Args:
        num_classes: C.
        gamma: focusing of a balanced class, > 0; raising it silences well-predicted samples sooner.
        scale: >= 0; raising it lets rare classes focus harder; 0 is the quality focal loss.
        background_index: class-index target that means none of the classes, a row of negatives.
        decay: factor on the old gradients at each update, in (0, 1]; lowering it forgets faster.
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions (class-index targets) or elements with this target count for
            nothing. None switches it off.
        reduction: "none", "sum", "mean" or "batch_mean".

    Shape:
        input (N, C, d1, ...) logits; target of the same shape, qualities in [0, 1], or class
        indices (quality 1). `sample_weight` and `normalizer` as everywhere: a detector divides by
        its positives. `indicator` is the `GradientIndicator`; an element with y > 0 is a positive.

    Returns:
        A scalar, or with reduction="none" one value per element, in [0, inf).

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = EqualizedQualityFocalLoss(num_classes=2)
        >>> loss(torch.zeros(1, 2), torch.tensor([[0.8, 0.0]]))
        tensor(0.1178)

    Inference: the plain sigmoid of the logits, `predict`.

    Differs from:
        ModelTC/EOD: the same loss, without its optional dynamic normaliser (pass `normalizer`);
            gradients are collected here in the forward and not by a backward hook.

    Reference:
        Li et al., Equalized Focal Loss for Dense Long-Tailed Object Detection, CVPR 2022,
        arXiv 2201.02593, the quality form of its repository.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        num_classes: int,
        gamma: float = 2.0,
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
        check_fields(self, "sigmoid")
        self.indicator = GradientIndicator(num_classes, decay=decay, scale="mean")

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "sigmoid"

    def exponents(self) -> Tensor:
        """gamma_j, per class."""
        return focusing(self.indicator, self.gamma, self.scale)

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against qualities; in training mode the gradients are counted."""
        exponents = self.exponents()
        factor = exponents / self.gamma
        options = Options(
            link="sigmoid",
            weight=factor if self.weight is None else factor * self.weight,
            ignore_index=self.ignore_index,
            background_index=self.background_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )
        given = own(input, target, options)
        # One number per class, shaped for axis 1.
        exponent = along_classes(exponents, given.logits)
        if self.indicator.collecting():
            sums = _sums(given, exponent)
            self.indicator.update(undivided(sums, given.plan.denominator))
        return loss_of(input, given, quality_focal_values(exponent))

    def predict(self, input: Tensor) -> Tensor:
        """Probability of each class (axis 1)."""
        return torch.sigmoid(input)

    def __repr__(self) -> str:
        return describe(self, SPEC)


@torch.no_grad()
def _sums(given: Own, exponent: Tensor) -> Tensor:
    """Absolute gradients per class, split into elements with a quality and without."""
    sums = ClassSums.of(given.logits, unsigned=False)
    for piece in pieces(given):
        found = elements(piece)
        gradient = _gradient(found, exponent) * coefficients(piece, found)
        if found.kept is not None:
            gradient = torch.where(found.kept, gradient, 0.0)
        sums.add_split(gradient, (found.y > 0).to(gradient.dtype))
    return sums.stacked()


def _gradient(found: Elements, exponent: Tensor) -> Tensor:
    """Of the loss of each element, but for its sign."""
    at, y = Point.fixed(found.z), found.y
    distance = (y * at.q - (1.0 - y) * at.p).abs()
    met = distance == 0
    entropy = -(y * at.log_p + (1.0 - y) * at.log_q)
    # d|y - p| / dp over |y - p|, times dp / dx: without a division where y is 0 or 1.
    fall = torch.where(y == 0, at.q, torch.where(y == 1, at.p, at.p * at.q / distance))
    fall = torch.where(met & (y > 0) & (y < 1), 0.0, fall)
    power = torch.exp(exponent * torch.log(distance))
    return power * (distance + exponent * fall * entropy)


SPEC = Spec(
    name="equalized_quality_focal",
    family="long-tail",
    module=EqualizedQualityFocalLoss,
    function=None,
    summary="equalized focal loss for quality scores instead of 0 and 1 (EQFL)",
    formula=(
        r"-\tfrac{\gamma_j}{\gamma} |y - p|^{\gamma_j} (y \log p + (1 - y) \log (1 - p)),\quad "
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
        "arXiv 2201.02593, the quality form of its repository",
    ),
    differs=(
        (
            "ModelTC/EOD",
            "the same loss, without its optional dynamic normaliser (pass `normalizer`); gradients "
            "are collected here in the forward and not by a backward hook",
        ),
    ),
    examples=("equalized_quality_focal(gamma=1.5, scale=2)",),
    identities=(("equalized_quality_focal(gamma=2, scale=0)", "quality_focal(beta=2)"),),
    needs=frozenset({"num_classes"}),
)
