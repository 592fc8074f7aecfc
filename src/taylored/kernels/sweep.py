"""One call of the native library: tensors and numbers, packed into the record that it reads."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.inputs.targets import check_truths
from taylored.core.numerics import computing_dtype
from taylored.kernels.abi import (
    FLOATS,
    LINKS,
    SWEEP,
    TRUTHS,
    address,
    element_strides,
    layout_of,
    numbers,
    position_strides,
    scalar,
    spread_or_none,
)
from taylored.kernels.library import Library
from taylored.kernels.threads import threads

_OUTSIDE = 2
"""What the library returns where a truth of the sigmoid link is outside [0, 1]."""


class Batch(NamedTuple):
    """The tensors of one sweep, as in `Plan`; the target is class indices or truths by its dtype.

    Attributes:
        logits: (N, C) or (N, C, S), in a layout of the library.
        target: class indices (N[, S]), or one truth per element.
        rows: coefficient of each position or element.
        positive: coefficient per class of being the truth, or None.
        negative: that of not being it.
        scale: factor per class of the logits.
        bias: added per class.
        gammas: power of q per class, instead of the formula's.
        added: what is added to the margin of each position, contiguous.
        growth: by how much its true logit's pull grows, contiguous.
    """

    logits: Tensor
    target: Tensor
    rows: Tensor
    positive: Tensor | None
    negative: Tensor | None
    scale: Tensor | None
    bias: Tensor | None
    gammas: Tensor | None
    added: Tensor | None
    growth: Tensor | None


class Formula(NamedTuple):
    """What is the same for every position.

    Attributes:
        link: "softmax" or "sigmoid".
        by_index: whether the target is class indices.
        ignore: value of truths that count for nothing.
        smoothing: mass moved from the target to all outcomes.
        temperature: divides the logits.
        gamma: the common power of q.
        log_factor: coefficients of the factor of -log p, from q^0 up.
        rest: those of what is added to it.
        skipped: how many terms of the series of -log p are left out.
        by_value: whether every value is wanted, and not their sum.
    """

    link: str
    by_index: bool
    ignore: int | None
    smoothing: float
    temperature: float
    gamma: float
    log_factor: Sequence[float]
    rest: Sequence[float]
    skipped: int
    by_value: bool


def swept(
    library: Library, batch: Batch, formula: Formula, gradient: Tensor | None, sums: Tensor | None
) -> Tensor:
    """The loss; the gradient is written, and the (2, C) sums are added to, where they are given."""
    logits, target, rows = batch.logits, batch.target, batch.rows
    layout = layout_of(logits)
    assert layout is not None  # noqa: S101 - accepted
    dtype = computing_dtype(logits)
    # Names keep these tensors alive until the library returns.
    positive, negative, scale, bias, gammas = (
        spread_or_none(values, logits)
        for values in (batch.positive, batch.negative, batch.scale, batch.bias, batch.gammas)
    )
    total, each = ctypes.c_double(), None
    each_strides = (0, 0, 0)
    if formula.by_value:
        by_position = formula.link == "softmax"
        shape = logits.shape[:1] + logits.shape[2:] if by_position else logits.shape
        each = torch.empty(shape, dtype=dtype, device="cpu")
        each_strides = position_strides(each) if by_position else element_strides(each)
    record = SWEEP.pack(
        LINKS[formula.link],
        *layout,
        FLOATS[logits.dtype],
        FLOATS[logits.dtype if gradient is None else gradient.dtype],
        address(logits),
        address(gradient),
        0 if formula.by_index else 1,
        0 if formula.by_index else TRUTHS[target.dtype],
        address(target),
        *(position_strides(target) if formula.by_index else element_strides(target)),
        address(rows),
        *element_strides(rows),
        0 if formula.ignore is None else 1,
        formula.ignore or 0,
        address(positive),
        address(negative),
        address(scale),
        address(bias),
        address(batch.added),
        address(batch.growth),
        formula.smoothing,
        formula.temperature,
        formula.gamma,
        address(gammas),
        *numbers(formula.log_factor),
        *numbers(formula.rest),
        formula.skipped,
        address(each),
        *each_strides,
        ctypes.addressof(total) if each is None else 0,
        address(sums),
        threads(),
    )
    code = library.sweep(record)
    if code == _OUTSIDE:
        check_truths(target, formula.ignore, rows)
    if code != 0:
        raise RuntimeError(f"the {library.level} library refused a sweep it accepted")
    return scalar(total.value, dtype) if each is None else each
