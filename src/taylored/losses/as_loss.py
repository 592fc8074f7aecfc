"""A loss to wrap: a copy of one of ours, or the equal of one of torch's."""

from __future__ import annotations

import copy
from typing import NoReturn

from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.plan.options import REDUCTIONS, Reduction
from taylored.losses.classification.binary_cross_entropy import BinaryCrossEntropyLoss
from taylored.losses.classification.cross_entropy import CrossEntropyLoss
from taylored.modules.classification import ClassificationLoss

_INSTEAD = {
    "NLLLoss": "pass CrossEntropyLoss(), and logits instead of log-probabilities",
    "BCELoss": "pass BinaryCrossEntropyLoss(), and logits instead of probabilities",
    "MultiLabelSoftMarginLoss": "pass BinaryCrossEntropyLoss(), which has the same mean",
    "KLDivLoss": "pass CrossEntropyLoss(), which has the same gradient for probabilities as target",
}
"""What to pass for other losses of torch."""


def as_loss(loss: object) -> ClassificationLoss:
    """A `Loss` of its own: later changes of what was given do not reach it."""
    if isinstance(loss, ClassificationLoss):
        return copy.deepcopy(loss)
    if type(loss) is nn.CrossEntropyLoss:
        return CrossEntropyLoss(
            weight=loss.weight,
            ignore_index=loss.ignore_index,
            label_smoothing=loss.label_smoothing,
            reduction=_reduction(loss),
        )
    if type(loss) is nn.BCEWithLogitsLoss:
        return BinaryCrossEntropyLoss(
            weight=_per_class(loss.weight),
            pos_weight=_per_class(loss.pos_weight),
            ignore_index=None,
            reduction=_reduction(loss),
        )
    if isinstance(loss, type):
        _refuse(loss, f"write {loss.__name__}(), an instance")
    if isinstance(loss, str):
        _refuse(loss, f"write taylored.get({loss!r})")
    _refuse(loss, _INSTEAD.get(type(loss).__name__, "wrap one of taylored's losses"))


def as_loss_or_cross_entropy(loss: object) -> ClassificationLoss:
    """The same; cross-entropy where none is given."""
    return CrossEntropyLoss() if loss is None else as_loss(loss)


def _per_class(weight: Tensor | None) -> Tensor | None:
    """Weights of BCEWithLogitsLoss that speak of classes: (C,), or (C, 1, 1) for images.

    torch spreads (C,) along the last axis, which is that of the classes in (N, C) logits; here it
    always means axis 1.
    """
    if weight is None:
        return None
    by_class = weight.dim() != 2 and weight.numel() == weight.shape[:1].numel()
    if not by_class:
        fix = "leave it out, and pass weights of single elements as `sample_weight` at the call"
        fail("loss", "BCEWithLogitsLoss with one weight per class", tuple(weight.shape), fix)
    return weight.detach().reshape(-1)


def _reduction(loss: nn.CrossEntropyLoss | nn.BCEWithLogitsLoss) -> Reduction:
    found = next((each for each in REDUCTIONS if each == loss.reduction), None)
    if found is None:
        _refuse(loss, f"its reduction {loss.reduction!r} is none of {', '.join(REDUCTIONS)}")
    return found


def _refuse(loss: object, fix: str) -> NoReturn:
    known = "a loss of taylored, torch.nn.CrossEntropyLoss or torch.nn.BCEWithLogitsLoss"
    fail("loss", known, f"{type(loss).__module__}.{type(loss).__qualname__}", fix)
