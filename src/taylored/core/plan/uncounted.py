"""Positions that count for nothing, and those that cannot be: their coefficient is 0, or NaN."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from taylored.core.checks import fail, seen
from taylored.core.context import has_numbers, values_are_known
from taylored.core.inputs.targets import in_unit_interval, out_of_range


def impossible(rows: Tensor, index: Tensor, num_classes: int) -> Tensor:
    """The rows, with NaN where a class has no column and looking would have cost a device sync.

    A gather fails there by itself; a comparison with every class would find a row of negatives.
    """
    wrong = out_of_range(index, num_classes)
    return rows if wrong is None else torch.where(wrong.reshape(_like(index, rows)), math.nan, rows)


def truth_or_nan(truth: Tensor, ignore_index: int | None) -> Tensor:
    """Truths, with NaN for what is outside [0, 1], if looking would cost a device sync.

    Beyond 1 the loss of an element is no loss: it falls without bound.
    """
    if truth.dtype == torch.bool or seen(truth):
        return truth
    wrong = ~in_unit_interval(truth)
    if ignore_index is not None:
        wrong &= truth != ignore_index
    return torch.where(wrong, math.nan, truth)


def _like(index: Tensor, rows: Tensor) -> torch.Size:
    """The shape of positions, with the axis of the classes if the rows have it."""
    return index.unsqueeze(1).shape if rows.dim() > index.dim() else index.shape


def rows_of_masses(target: Tensor, ignore_index: int | None) -> Tensor | None:
    """Rows for soft targets, (N, C[, S]): 0 where every class holds the ignored value.

    Where only some classes hold it, that is an error; or NaN, where looking costs a device sync.
    None where nothing is ignored. The first class alone is looked at for that: all of the target
    are as many numbers as the logits.
    """
    if ignore_index is None or target.shape[1] == 0:
        return None
    truth = target.detach()
    mixed = ignore_index not in (0, 1)  # which are probabilities too
    if seen(truth):
        first = truth.select(1, 0) == ignore_index
        if not first.any():
            return None
        held = (truth.movedim(1, -1)[first] == ignore_index).all(dim=-1)
        if mixed and not held.all():
            fail("target", f"ignore_index={ignore_index} in every class of a position, or in none",
                 "a position where some classes hold it",
                 "target.masked_fill(ignored.unsqueeze(1), ignore_index)")  # fmt: skip
        rows = torch.ones(first.shape, device=truth.device)
        rows[first] = (~held).to(rows)
        return rows
    held = truth == ignore_index
    whole = held.all(dim=1)
    rows = torch.where(whole, 0.0, 1.0)
    return torch.where(held.any(dim=1) & ~whole, math.nan, rows) if mixed else rows


def truth_of_counted(target: Tensor, rows: Tensor) -> Tensor:
    """The target with truth 0 where a sample weight of 0 leaves nothing: it may be NaN there."""
    if not target.is_floating_point():
        return target
    nothing = rows == 0
    if values_are_known() and has_numbers(rows) and not bool(nothing.any()):
        return target
    return torch.where(nothing, 0.0, target)
