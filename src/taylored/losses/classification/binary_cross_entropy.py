"""Binary cross-entropy on logits: torch's, with the vocabulary of the family."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import (
    BackgroundLoss,
    PosWeight,
    SmoothedBackgroundCall,
    SmoothedLoss,
)

__all__ = ["BinaryCrossEntropyLoss", "binary_cross_entropy_loss"]


class BinaryCrossEntropyLoss(SmoothedLoss, BackgroundLoss):
    r"""Binary cross-entropy on logits, :math:`-y \log p - (1 - y) \log(1 - p)`.

    The same numbers as `torch.nn.BCEWithLogitsLoss`, value and gradient. `weight` is one number per
    class on axis 1; torch's weights per sample or element go into `sample_weight` of the call.

    Example:
        >>> import torch
        >>> loss = BinaryCrossEntropyLoss(pos_weight=3.0)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[1, 0]]))
        tensor(0.5370)
    """

    link = "sigmoid"
    pos_weight: PosWeight = None

    @property
    def term(self) -> Term:
        """The loss as a term."""
        return nll


@function_of(BinaryCrossEntropyLoss)
def binary_cross_entropy_loss(
    input: Logits,
    target: Tensor,
    *,
    pos_weight: float | PerClass | None = None,
    **shared: Unpack[SmoothedBackgroundCall],
) -> Tensor:
    r"""Binary cross-entropy on logits, :math:`-y \log p - (1 - y) \log(1 - p)`.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, -2.0]])
        >>> binary_cross_entropy_loss(logits, torch.tensor([[1, 0]]))
        tensor(0.1269)
    """
    return p_t_loss(input, target, nll, Options(link="sigmoid", pos_weight=pos_weight, **shared))


SPEC = spec_of(
    "binary_cross_entropy",
    BinaryCrossEntropyLoss,
    binary_cross_entropy_loss,
    summary="sigmoid cross-entropy, torch's numbers in one pass",
    formula=r"-y \log \sigma(x) - (1 - y) \log \sigma(-x)",
    reference=Reference("PyTorch", "torch.nn.BCEWithLogitsLoss", "documentation", "the formula"),
    differs={
        "torch": "BCEWithLogitsLoss: equal with weight and pos_weight per class; its weights per "
        "element are sample_weight here; no ignore_index there; targets outside [0, 1] give "
        "negative losses there and an error inside taylored.debug() here. MultiLabelSoftMarginLoss "
        "is the same: a mean over classes and samples",
        "Keras": "BinaryCrossentropy(from_logits=True): label_smoothing has the same meaning",
    },
    examples=(
        "binary_cross_entropy()",
        "binary_cross_entropy(pos_weight=3)",
        "binary_cross_entropy(label_smoothing=0.1)",
    ),
)
