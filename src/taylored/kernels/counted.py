"""What the native shortcut is told of the targets: who counts, how much, and the denominator."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.plan.options import Options
from taylored.kernels.abi import TRUTHS
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory

REDUCTIONS = {"none": 0, "sum": 0, "mean": 1, "batch_mean": 2}
"""The reductions that the library divides by the right number for."""

_ELEMENT_MEAN = 3
"""Divide by the elements of the kept positions: "mean" of the sigmoid link."""


class Counted(NamedTuple):
    """Targets as the library reads them.

    Attributes:
        truth: class indices, 0 where ignored, or one number per element.
        rows: the coefficient of each position; a number where it is the same for all.
        denominator: what the rows were divided by; None for nothing, or where nobody asks.
    """

    truth: Tensor
    rows: Tensor | float
    denominator: float | None


def count_indices(
    library: Library, target: Tensor, options: Options, shape: torch.Size, dtype: torch.dtype
) -> Counted | None:
    """Class indices; None for what is unusual, or wrong."""
    classes = shape[1]
    if target.dtype is not torch.int64 or target.shape != (shape[0], *shape[2:]):
        return None
    if classes == 1:  # refused, or one class and background
        return None
    weight, by_element = options.weight, options.link == "sigmoid"
    if by_element:
        weight = None  # which is one number per element: `shortcut.py` hands it on as such
    if weight is not None:
        if not isinstance(weight, Tensor) or not in_plain_memory(weight):
            return None
        if weight.requires_grad or weight.shape != (classes,):
            return None
        weight = weight.to(dtype).contiguous()
    ignore, count = options.ignore_index, target.numel()
    asked = (target.data_ptr(), count, ignore is not None, ignore or 0, classes)
    kept = library.kept(*asked)
    if kept < 0:
        return None  # a class without a column
    mean = REDUCTIONS[options.reduction]
    denominator = None
    if mean:
        denominator = float(kept * (classes if by_element and mean == 1 else 1))
    if weight is None and kept == count:
        # Every position counts the same: the targets are right as they are, and one number is
        # the coefficient of all.
        return Counted(target, 1.0 / denominator if denominator else 1.0, denominator)
    truth = torch.empty(target.shape, dtype=torch.int64, device="cpu")
    rows = torch.empty(target.shape, dtype=dtype, device="cpu")
    find_rows = library.rows if dtype is torch.float32 else library.rows_double
    find_rows(
        *asked,
        None if weight is None else weight.data_ptr(),
        _ELEMENT_MEAN if by_element and mean == 1 else mean,
        truth.data_ptr(),
        rows.data_ptr(),
    )
    return Counted(truth, rows, denominator)


def count_truths(target: Tensor, options: Options) -> Counted | None:
    """One truth per element, or one probability per class, if none is ignored; None otherwise.

    The library looks for truths outside [0, 1] itself.
    """
    by_element = options.link == "sigmoid"
    if target.dtype not in TRUTHS or target.requires_grad:
        return None
    if options.weight is not None and not by_element:
        return None
    if not by_element and (target.shape[1] == 1 or not target.is_floating_point()):
        return None
    if options.ignore_index is not None and target.dtype is not torch.bool:
        # To look for one bound takes a seventh of the time of counting, and the first class tells
        # whether a position is ignored. A NaN is no bound.
        some, ignored = target if by_element else target.select(1, 0), options.ignore_index
        apart = float(some.amin()) > ignored if ignored < 0 else float(some.amax()) < ignored
        if not apart:
            return None
    mean = REDUCTIONS[options.reduction]
    if not mean:
        return Counted(target, 1.0, None)
    count = target.numel() if by_element and mean == 1 else target.numel() // target.shape[1]
    return Counted(target, 1.0 / count, float(count))
