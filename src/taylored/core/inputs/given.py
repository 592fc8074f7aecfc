"""Targets and sample weights as people have them, brought to the forms that the losses know.

A form that can be read in one way only is taken; everything else is left as it is, for the checks
of `core/inputs/targets.py` to refuse with the call that makes it plain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from taylored.core.numerics import tensor_of

_TRUTHS = (torch.bool, torch.uint8, torch.int32, torch.int64)
"""Dtypes without a fraction in which every executor reads one truth per element."""


def is_whole(values: Tensor) -> bool:
    """Whether the dtype is one of whole numbers, and not of truth values."""
    fraction = values.is_floating_point() or values.is_complex()
    return not fraction and values.dtype != torch.bool


def usual(input: Any, target: Any, home: int) -> bool:
    """Whether a target is class indices in their usual form, where there is nothing to read."""
    return (
        isinstance(target, Tensor)
        and target.dtype is torch.int64
        and isinstance(input, Tensor)
        and input.dim() == target.dim() + home
        and target.dim() > 0
    )


def read_target(target: Tensor, shape: torch.Size, link: str) -> Tensor:
    """Class indices as (N, d1, ...) int64, or one truth per class in the shape of the logits.

    Masks may have an axis of length 1 in the place of the classes, (N, 1, d1, ...), one-hot targets
    any dtype, and the truths of one column may lack its axis, or have one that the logits lack.
    """
    if not isinstance(target, Tensor):
        return target
    positions, dims = shape[:1] + shape[2:] if len(shape) > 1 else shape[:0], len(shape)
    if target.shape == shape:
        return _truths(target, link)
    if dims > 1 and target.shape == positions:
        if is_whole(target):
            return target.long()
        one = link == "sigmoid" and shape[1] == 1 and not target.is_complex()
        return target.unsqueeze(1) if one else target
    narrow = target.dim() > 1 and target.shape[1] == 1
    if narrow and is_whole(target) and target.dim() == dims and target[:, 0].shape == positions:
        return target.squeeze(1).long()
    if narrow and link == "sigmoid" and target[:, 0].shape == shape:
        return _truths(target.squeeze(1), link)
    if link == "softmax" and dims == 1 and target.shape == (1,) and is_whole(target):
        return target.reshape(()).long()
    return target.long() if dims == 1 and target.dim() == 0 and is_whole(target) else target


def _truths(target: Tensor, link: str) -> Tensor:
    if target.is_floating_point() or target.is_complex():
        return target
    if link == "softmax":  # one-hot: probabilities 0 and 1, which may be ignored
        return target.float()
    return target if target.dtype in _TRUTHS else target.long()


def read_weight(weight: Any, shape: torch.Size) -> Any:
    """Sample weights as a tensor, without an axis of length 1 in the place of the classes."""
    if not isinstance(weight, Tensor):
        try:
            weight = tensor_of(weight)
        except (TypeError, ValueError, RuntimeError):
            return weight  # for the checks to refuse
    if weight.shape == shape[:1] + shape[2:]:  # with one position a sample, its axis is no class's
        return weight
    narrow = weight.dim() > 1 and weight.shape[1] == 1 and weight.shape != shape
    if not narrow or weight.shape[:1] != shape[:1]:
        return weight
    fits = weight.dim() == 2 or weight[:, 0].shape == shape[:1] + shape[2:]
    return weight.squeeze(1) if fits else weight
