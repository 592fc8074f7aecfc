"""Equalized quality focal loss: the equalized focal loss for scores instead of 0 and 1."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.engine.elementwise import (
    ElementBatch,
    Elements,
    element_batch,
    elements,
)
from taylored.core.engine.elementwise_pass import loss_of_batch, pieces
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.links.class_sums import RunningSums
from taylored.core.plan.options import Options
from taylored.core.plan.plan import along_classes
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms import fast_point
from taylored.core.terms.point import inside
from taylored.losses.classification.focal import focal_term
from taylored.losses.detection_quality.quality_focal import quality_focal_values
from taylored.losses.long_tail.focusing import FocusingLoss
from taylored.losses.long_tail.reweighting import weighted
from taylored.modules.spec import Reference, spec_of

__all__ = ["EqualizedQualityFocalLoss"]


@torch.no_grad()
def _sums(given: ElementBatch, exponent: Tensor) -> Tensor:
    """Absolute gradients per class, split into elements with a quality and without."""
    sums = RunningSums.of(given.logits, unsigned=False)
    for piece in pieces(given):
        found = elements(piece)
        gradient = _gradient(found, exponent) * found.coefficient
        sums.add_split(gradient, (found.y > 0).to(gradient.dtype))
    return sums.stacked()


def _gradient(found: Elements, exponent: Tensor) -> Tensor:
    """Of the loss of each element, but for its sign."""
    at, y = fast_point.fixed(inside(found.z)), found.y
    distance = (y * at.q - (1.0 - y) * at.p).abs()
    met = distance == 0
    entropy = at.binary_cross_entropy(y)
    # d|y - p| / dp over |y - p|, times dp / dx: without a division where y is 0 or 1.
    fall = torch.where(y == 0, at.q, torch.where(y == 1, at.p, at.p * at.q / distance))
    fall = torch.where(met & (y > 0) & (y < 1), 0.0, fall)
    power = torch.exp(exponent * torch.log(distance))
    return power * (distance + exponent * fall * entropy)


class EqualizedQualityFocalLoss(FocusingLoss):
    r"""Equalized quality focal, :math:`\frac{\gamma_j}{\gamma}\,|y - p|^{\gamma_j}\, BCE(p, y)`.

    The target y of a positive is the quality of its box (its IoU), that of a negative 0; a class
    index has quality 1. With the ratio g_j of the positive to the negative gradient that class j
    has received so far, clamped to [0, 1], gamma_j = gamma + scale (1 - g_j), as in the equalized
    focal loss; scale = 0 is the quality focal loss. With hard targets and all classes in balance it
    is the focal loss. A detector divides by its positives, the `normalizer` of the call.

    Example:
        >>> import torch
        >>> loss = EqualizedQualityFocalLoss(num_classes=2)
        >>> loss(torch.zeros(1, 2), torch.tensor([[0.8, 0.0]]))
        tensor(0.1178)

    State: `indicator`, a `GradientIndicator`, counts the gradients of every training forward; an
    element with y > 0 is a positive.

    Inference: `predict` is yes where the logit is positive; `posterior` is the probability of a
    hard yes, which is not the quality of a box.
    """

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against qualities; in training mode the gradients are counted."""
        if self.indicator.collecting():
            self.indicator.refuse_side_effects()
        logits, exponents = check_input(input), self.exponents()
        given = element_batch(logits, target, weighted(options, exponents / self.gamma))
        # One number per class, shaped for axis 1.
        exponent = along_classes(exponents, given.logits)
        if self.indicator.collecting():
            sums = _sums(given, exponent)
            self.indicator.count(sums, given.plan.denominator)
        return loss_of_batch(logits, given, quality_focal_values(exponent))

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of focal loss, which it is for targets of 0 and 1."""
        return calibrated_logits(outputs, focal_term(self.exponents()), options)


SPEC = spec_of(
    "equalized_quality_focal",
    EqualizedQualityFocalLoss,
    summary="equalized focal loss for quality scores instead of 0 and 1 (EQFL)",
    formula=r"-\tfrac{\gamma_j}{\gamma} |y - p|^{\gamma_j} (y \log p + (1 - y) \log (1 - p)),\quad "
    r"\gamma_j = \gamma + s\,(1 - g_j)",
    reference=Reference(
        "Li, Yao, Tan, Zhang, Yu, Lu, Luo",
        "Equalized Focal Loss for Dense Long-Tailed Object Detection",
        "CVPR 2022",
        "arXiv 2201.02593, the quality form of its repository",
    ),
    differs={
        "ModelTC/EOD": "the same loss, without its optional dynamic normaliser (pass "
        "`normalizer`); gradients are collected here in the forward and not by a backward hook",
    },
    examples=("equalized_quality_focal(gamma=1.5, scale=2)",),
    identities={"equalized_quality_focal(gamma=2, scale=0)": "quality_focal(beta=2)"},
)
