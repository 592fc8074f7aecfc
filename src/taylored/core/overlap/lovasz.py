"""The Lovasz extension of the Jaccard index: its convex continuation from sets to soft errors."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.numerics import widest_dtype
from taylored.core.overlap.batch import Batch, ratio
from taylored.core.overlap.reduced import Ratios


def lovasz_ratios(batch: Batch, errors: Tensor, y: Tensor, w: Tensor) -> Ratios:
    """What errors cost, (N, C[, S]) each: the errors times what each adds to the Jaccard loss.

    The gradient is exact almost everywhere: what each position adds is constant while the order of
    the errors stays.
    """
    factors = _factors(batch, errors.detach(), y.detach(), w.detach())
    # An infinite error without a share in the loss would be NaN.
    cost = batch.summed(torch.where(factors == 0, 0.0, errors) * factors)
    return Ratios(cost, batch.summed(w * y), batch.counted())


def _factors(batch: Batch, errors: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """What every position adds to the Jaccard loss, class by class: several are kept sorted."""
    found = []
    for number in range(errors.shape[1]):
        one = (each[:, number].flatten(1) if each.dim() > 2 else each[:, number, None]
               for each in (errors, y, w))  # fmt: skip
        parts = [each if batch.by_sample else each.reshape(1, -1) for each in one]
        found.append(_steps(*parts).reshape(errors[:, number].shape))
    return torch.stack(found, dim=1).to(errors) if found else torch.zeros_like(errors)


def _steps(errors: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """Of each row, (G, M): the growth of 1 - |intersection| / |union|, largest error first.

    A soft truth is a part y of a true position and a part 1 - y of another one.
    """
    if errors.shape[1] == 0:
        return errors
    order = errors.argsort(dim=1, descending=True, stable=True)
    wide = widest_dtype(errors.device)
    weight, truth = w.to(wide).gather(1, order), y.to(wide).gather(1, order)
    missed = (weight * truth).cumsum(dim=1)
    wrong = (weight * (1.0 - truth)).cumsum(dim=1)
    whole = missed[:, -1:]
    loss = 1.0 - ratio(whole - missed, whole + wrong)
    steps = torch.diff(loss, dim=1, prepend=torch.zeros_like(whole))
    return torch.zeros_like(steps).scatter(1, order, steps)
