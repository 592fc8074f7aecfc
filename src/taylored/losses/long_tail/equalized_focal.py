"""Equalized focal loss: every class focuses by how starved of positive gradient it is."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.terms.term import Term
from taylored.losses.classification.focal import focal_term
from taylored.losses.long_tail.focusing import FocusingLoss
from taylored.losses.long_tail.reweighting import weighted
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of

__all__ = ["EqualizedFocalLoss"]


class EqualizedFocalLoss(FocusingLoss):
    r"""Equalized focal: :math:`-\alpha_t \frac{\gamma_j}{\gamma} (1 - p_t)^{\gamma_j} \log p_t`.

    With the ratio g_j of the positive to the negative gradient that class j has received so far,
    clamped to [0, 1], gamma_j = gamma + scale (1 - g_j): starved classes focus harder on their hard
    samples, and the factor gamma_j / gamma gives back the size that focusing takes away. A class in
    balance (g_j = 1) has plain focal loss, as all have at the first step and with scale = 0. A
    detector divides by its positives, `loss(input, target, normalizer=num_positives)`.

    Example:
        >>> import torch
        >>> loss = EqualizedFocalLoss(num_classes=2, alpha=None)
        >>> logits, truth = torch.zeros(4, 2, requires_grad=True), torch.tensor([0, 0, 0, 1])
        >>> loss(logits, truth), loss(logits, truth)
        (tensor(0.1733, grad_fn=...), tensor(0.0945, grad_fn=...))
        >>> loss.exponents()
        tensor([2.0000, 7.3333], dtype=torch.float64)

    State: `indicator`, a `GradientIndicator`, counts the gradients of every training forward. Its
    sums are those of the loss after its denominator, as published.

    Inference: `predict` is yes where the logit is positive; `posterior` undoes the focusing of this
    moment and alpha.
    """

    alpha: Annotated[
        float | PerClass | None,
        About(
            "weight of positives, with 1 - alpha for negatives; raising it raises recall, None "
            "switches it off",
            within="[0, 1]",
            search=(0.05, 0.95),
            slot=True,
        ),
    ] = 0.25

    @property
    def term(self) -> Term:
        """The loss as a term, with the focusing of the moment."""
        return focal_term(self.exponents())

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss with the focusing and the factors of the moment."""
        exponents = self.exponents()
        return p_t_loss(
            input, target, focal_term(exponents), weighted(options, exponents / self.gamma)
        )

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Those of focal loss with the focusing of the moment; its factor is on yes and no."""
        return calibrated_logits(outputs, self.term, options)


SPEC = spec_of(
    "equalized_focal",
    EqualizedFocalLoss,
    summary="focal loss whose focusing and weight follow each class's gradient ratio (EFL)",
    formula=r"-\alpha_t\, \tfrac{\gamma_j}{\gamma} (1 - p_t)^{\gamma_j} \log p_t,\quad "
    r"\gamma_j = \gamma + s\,(1 - g_j)",
    reference=Reference(
        "Li, Yao, Tan, Zhang, Yu, Lu, Luo",
        "Equalized Focal Loss for Dense Long-Tailed Object Detection",
        "CVPR 2022",
        "arXiv 2201.02593",
    ),
    differs={
        "ModelTC/EOD": "the same loss; labels there are 0 for background and 1..C, here 0..C-1 and "
        'background_index (mmdet: C). Its "mean" without a normalizer is a sum. It reads the '
        "gradients of the last layer in a backward hook that needs one backward per forward and "
        "full precision; here they come from the forward",
        "tcmyxc/Equalized-Focal-Loss": "another loss: softmax, and no accumulated gradients",
    },
    examples=("equalized_focal()", "equalized_focal(gamma=0.5, alpha=None, scale=2)"),
    identities={
        "equalized_focal(gamma=1.5, alpha=None, scale=0)": 'focal(gamma=1.5, link="sigmoid")',
    },
)
