"""Are these logits? A model that ends in a softmax or sigmoid trains on, but hardly learns."""

from __future__ import annotations

import warnings
from typing import Final

import torch
from torch import Tensor

from taylored.core.checks import debugging, fail
from taylored.core.context import has_numbers, unobserved

_FEW: Final = 16
"""Fewer numbers between 0 and 1 than this say nothing about where they come from."""

_FEW_ROWS: Final = 4
"""Fewer rows than this may add up to 1 by chance, as in an example that somebody tries by hand."""

_ENOUGH: Final = 16_384
"""Numbers that are looked at, at most. Torch shares longer work among its threads, which a process
that was forked waits for in vain."""

_ROUNDING: Final = 1e-2
"""How far from one the probabilities of a row may add up to, in half precision."""


def check_raw_scores(values: object, link: str, axis: int = 1) -> None:
    """Notice probabilities where logits belong, if values may be looked at for nothing.

    Rows of a softmax are an error, because several rows of logits do not all add up to 1 by
    chance. Outputs of a sigmoid are only likely: they are a warning.
    """
    if not isinstance(values, Tensor) or values.dim() < 1 or values.numel() < 2:
        return
    if not (unobserved() and has_numbers(values) and (values.is_cpu or debugging())):
        return
    if not values.is_floating_point():
        return
    some = _some(values.detach(), axis if values.dim() > 1 else None)
    if some is None:
        return
    low, high = some.aminmax()
    if not (low >= 0 and high <= 1 and low < high):
        return
    if link == "softmax" and values.dim() > axis:
        sums = some.sum(axis, dtype=torch.float32)
        if sums.numel() >= _FEW_ROWS and (sums - 1).abs().max() < _ROUNDING:
            fail(
                "input",
                "logits: the loss takes their softmax itself",
                f"probabilities: rows that add up to 1 (axis {axis})",
                "leave out the softmax at the end of the model; if there is nothing but "
                "probabilities, pass torch.log(p)",
            )
    elif link == "sigmoid" and some.numel() >= _FEW:
        warnings.warn(
            f"all {some.numel()} numbers of `input` that were looked at are in [0, 1] like "
            "probabilities, but they are taken for logits. Leave out the sigmoid at the end of "
            "the model; if there is nothing but probabilities, pass torch.logit(p).",
            stacklevel=2,
        )


def _some(values: Tensor, axis: int | None) -> Tensor | None:
    """The first positions, with all their classes; None if there are too many classes to look."""
    classes = 1 if axis is None else values.shape[axis]
    positions = _ENOUGH // max(1, classes)
    if positions < _FEW_ROWS:
        return None
    others = [each for each in range(values.dim()) if axis is None or each != axis % values.dim()]
    longest = max(1, int(positions ** (1 / max(1, len(others)))))
    for each in others:
        values = values.narrow(each, 0, min(longest, values.shape[each]))
    return values
