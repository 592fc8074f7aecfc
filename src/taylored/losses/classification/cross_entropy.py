"""Cross-entropy: torch's, with the vocabulary of the family."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass, Reduction
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields import check_fields
from taylored.modules.spec import Reference, Spec, describe, hold


def cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    weight: PerClass | None = None,
    ignore_index: int | None = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    r"""Softmax cross-entropy, :math:`-\sum_k y_k \log p_k`.

    The functional form of `CrossEntropyLoss`, which documents the parameters.

    Example:
        >>> import torch
        >>> cross_entropy_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)
    """
    return p_t_loss(
        input,
        target,
        nll,
        Options(
            link="softmax",
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        ),
    )


class CrossEntropyLoss(nn.Module):
    r"""Softmax cross-entropy, :math:`-\sum_k y_k \log p_k`.

    The same numbers as `torch.nn.CrossEntropyLoss`, value and gradient, in one pass that keeps one
    buffer; a batch with nothing left to learn from gives 0 with zero gradient instead of NaN.

    Args:
        weight: one number per class; raising a class's weight favours it.
        ignore_index: positions or elements with this target count for nothing. None: off.
        label_smoothing: target mass spread evenly over the classes, in [0, 1].
        reduction: "none", "sum", "mean" or "batch_mean" (see `FocalLoss`).

    Shape:
        input (N, C, d1, ...) logits; target (N, d1, ...) class indices or probabilities of the
        shape of `input`. The call also takes `sample_weight` and `normalizer` (see `FocalLoss`).

    Returns:
        A scalar, or with reduction="none" one value per position, in [0, inf); float32 for
        half-precision logits.

    Raises:
        ValueError: for a parameter out of its domain, or shapes that do not fit.

    Example:
        >>> import torch
        >>> loss = CrossEntropyLoss(label_smoothing=0.1)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
        tensor(0.2951)

    Differs from:
        torch: CrossEntropyLoss: equal in all options; where every target is ignored torch gives
            NaN, we give 0; half-precision logits give a float32 loss here.
        Keras: divides by the number of positions: reduction='batch_mean' here.
        segmentation-models-pytorch: SoftCrossEntropyLoss also counts ignored pixels in the mean; we
            do not.
        timm: LabelSmoothingCrossEntropy(s): cross_entropy_loss(x, y, label_smoothing=s).

    Reference:
        torch.nn.CrossEntropyLoss; Szegedy et al., CVPR 2016, section 7, for label smoothing.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        weight: PerClass | None = None,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        hold(self, "weight", weight)
        check_fields(self, self.link)

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll

    @property
    def link(self) -> str:
        """How logits become probabilities."""
        return "softmax"

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return cross_entropy_loss(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
            sample_weight=sample_weight,
            normalizer=normalizer,
        )

    def __repr__(self) -> str:
        return describe(self, SPEC)


SPEC = Spec(
    name="cross_entropy",
    family="classification",
    module=CrossEntropyLoss,
    function=cross_entropy_loss,
    summary="softmax cross-entropy, torch's numbers in one pass",
    formula=r"-\sum_k y_k \log p_k",
    parameters=(),
    shared=("weight", "ignore_index", "label_smoothing", "reduction"),
    links=("softmax",),
    targets=("index", "probabilities"),
    value_range="[0, inf)",
    denominator="index: sum of the targets' weights; probabilities: positions",
    reference=Reference(
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna",
        "Rethinking the Inception Architecture for Computer Vision",
        "CVPR 2016",
        "section 7 (label smoothing)",
    ),
    differs=(
        (
            "torch",
            "CrossEntropyLoss: equal in all options; where every target is ignored torch gives "
            "NaN, we give 0; half-precision logits give a float32 loss here",
        ),
        ("Keras", "divides by the number of positions: reduction='batch_mean' here"),
        (
            "segmentation-models-pytorch",
            "SoftCrossEntropyLoss also counts ignored pixels in the mean; we do not",
        ),
        ("timm", "LabelSmoothingCrossEntropy(s): cross_entropy_loss(x, y, label_smoothing=s)"),
    ),
    examples=("cross_entropy()", "cross_entropy(label_smoothing=0.1)"),
)
