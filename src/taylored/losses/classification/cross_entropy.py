"""Cross-entropy: torch's, with the vocabulary of the family."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import SmoothedCall, SmoothedLoss

__all__ = ["CrossEntropyLoss", "cross_entropy_loss"]


class CrossEntropyLoss(SmoothedLoss):
    r"""Softmax cross-entropy, :math:`-\sum_k y_k \log p_k`.

    The same numbers as `torch.nn.CrossEntropyLoss`, value and gradient, in one pass that keeps one
    buffer; a batch with nothing left to learn from gives 0 with zero gradient instead of NaN.

    Example:
        >>> import torch
        >>> loss = CrossEntropyLoss(label_smoothing=0.1)
        >>> loss(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
        tensor(0.2951)
    """

    link = "softmax"

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll


@function_of(CrossEntropyLoss)
def cross_entropy_loss(input: Logits, target: Tensor, **shared: Unpack[SmoothedCall]) -> Tensor:
    r"""Softmax cross-entropy, :math:`-\sum_k y_k \log p_k`.

    Example:
        >>> import torch
        >>> cross_entropy_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)
    """
    return p_t_loss(input, target, nll, Options(link="softmax", **shared))


SPEC = spec_of(
    "cross_entropy",
    CrossEntropyLoss,
    cross_entropy_loss,
    summary="softmax cross-entropy, torch's numbers in one pass",
    formula=r"-\sum_k y_k \log p_k",
    reference=Reference(
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna",
        "Rethinking the Inception Architecture for Computer Vision",
        "CVPR 2016",
        "section 7 (label smoothing)",
    ),
    differs={
        "torch": "CrossEntropyLoss: equal in all options; where every target is ignored torch "
        "gives NaN, we give 0; half-precision logits give a float32 loss here",
        "Keras": "divides by the number of positions: reduction='batch_mean' here",
        "segmentation-models-pytorch": "SoftCrossEntropyLoss also counts ignored pixels in the "
        "mean; we do not",
        "timm": "LabelSmoothingCrossEntropy(s): cross_entropy_loss(x, y, label_smoothing=s)",
    },
    examples=("cross_entropy()", "cross_entropy(label_smoothing=0.1)"),
)
