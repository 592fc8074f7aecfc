"""The options that are numbers, or one per class: as tensors, checked, combined."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import per_class
from taylored.core.numerics import tensor_of
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.term import Term


def outcome_weights(options: Options) -> tuple[Tensor | None, Tensor | None]:
    """Coefficients of yes and no: `weight`, times alpha or 1 - alpha, times that of the outcome."""
    positive = negative = tensor_or_none(options.weight)
    alpha = tensor_or_none(options.alpha)
    yes, no = tensor_or_none(options.pos_weight), tensor_or_none(options.neg_weight)
    if alpha is not None:
        positive = alpha if positive is None else alpha * positive
        negative = 1.0 - alpha if negative is None else (1.0 - alpha) * negative
    if yes is not None:
        positive = yes if positive is None else yes * positive
    if no is not None:
        negative = no if negative is None else no * negative
    return positive, negative


def tensor_or_none(value: float | PerClass | None) -> Tensor | None:
    """A number, or one per class, as a tensor."""
    if value is None or isinstance(value, Tensor):
        return value
    # Python numbers keep all their digits: the logits may be float64.
    return tensor_of(value, torch.float64)


def check_per_class(term: Term, options: Options, num_classes: int) -> None:
    """Refuse options and parameters of the term that are given for other classes."""
    named = {
        "weight": options.weight,
        "alpha": options.alpha,
        "pos_weight": options.pos_weight,
        "neg_weight": options.neg_weight,
        "logit_scale": options.logit_scale,
        "logit_bias": options.logit_bias,
    }
    for name, given in named.items():
        value = tensor_or_none(given)
        if value is not None:
            per_class(name, value, num_classes)
    for value in term.parameters():
        per_class("term", value, num_classes)
