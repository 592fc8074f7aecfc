"""What the losses that know the class counts share: the log prior, and what fits an input."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.class_counts import log_prior as log_prior
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.targets import check_input
from taylored.core.numerics import computing_dtype


def class_axis(input: Logits) -> int:
    """Axis 1, or the only one."""
    return min(1, input.dim() - 1)


def check_fit(per_class: Tensor, input: Logits) -> None:
    """Refuse logits with another number of classes than the counts have."""
    check_input(outline(input))
    classes = input.shape[class_axis(input)] if input.dim() > 0 else 1
    if per_class.shape != (classes,):
        fail(
            "counts",
            f"one number per class: shape ({classes},) for this input",
            f"shape {tuple(per_class.shape)}",
            "count with taylored.class_counts(targets, num_classes=C); classes are axis 1 of `input`",
        )


def along(per_class: Tensor, input: Tensor) -> Tensor:
    """One number per class, to broadcast along the class axis, in the dtype to compute in."""
    values = per_class.to(device=input.device, dtype=computing_dtype(input))
    return values.reshape(-1, *[1] * max(0, input.dim() - 2))


def softmax_of(input: Tensor, scale: float = 1.0) -> Tensor:
    """Probabilities of the classes, of scaled logits; float32 for half precision."""
    check_input(input)
    return torch.softmax(scale * input.to(computing_dtype(input)), dim=class_axis(input))
