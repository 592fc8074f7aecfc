"""A plain call: one whose targets and options the library reads as the caller gave them.

It needs no plan. That saves the overhead of a plan on small batches, and the passes of `prepare`
over the targets on large ones. Any call may be declined: the plan gives the same result, or the
error message.
"""

from __future__ import annotations

import ctypes
import math
from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.engine.executor import Direct
from taylored.core.plan.options import Options, PerClass
from taylored.core.plan.per_class_numbers import outcome_weights, tensor_or_none
from taylored.kernels.abi import (
    FLOATS,
    LINKS,
    SWEEP,
    TRUTHS,
    address,
    layout_of,
    numbers,
    scalar,
)
from taylored.kernels.counted import REDUCTIONS, count_indices, count_truths
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory
from taylored.kernels.program import Program
from taylored.kernels.threads import threads

_CELLS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}
"""One number in memory; making a tensor of it would take twenty times as long."""


def run_plain(
    library: Library,
    input: Tensor,
    target: Tensor,
    program: Program,
    options: Options,
    gradient: Tensor | None,
    sums: Tensor | None,
) -> Direct | None:
    """What one sweep finds for options that are plain; None where something is unusual or wrong.

    Args:
        library: runs the sweep.
        input: logits of which there are some, in ordinary memory.
        target: contiguous, in ordinary memory.
        program: the term, without powers per class.
        options: those that `has_plain_options` accepts.
        gradient: receives the gradient of the summed loss, if given; in the strides of the input.
        sums: (2, C) zeros, which receive the sums of the absolute gradient per class.
    """
    shape, kind, layout = input.shape, FLOATS[input.dtype], layout_of(input)
    if layout is None:
        return None
    dtype = torch.float64 if kind == 1 else torch.float32
    dense = target.shape == shape
    if dense:
        counted = count_truths(target, options)
    else:
        counted = count_indices(library, target, options, shape, dtype)
    spread = _spread(options, shape[1], dtype)
    if counted is None or spread is None:
        return None
    truth, rows, denominator = counted
    s = layout[2]
    if isinstance(rows, Tensor):
        cell, coefficients = None, (rows.data_ptr(), s, 0, 1)
    else:
        cell = _CELLS[dtype](rows)  # a name keeps it alive until the library returns
        coefficients = (ctypes.addressof(cell), 0, 0, 0)
    by_element = options.link == "sigmoid"
    total, each = ctypes.c_double(), None
    each_strides = (0, 0, 0)
    if options.reduction == "none":
        each_shape = shape if by_element else (shape[0], *shape[2:])
        each = torch.empty(each_shape, dtype=dtype, device="cpu")
        each_strides = (layout[1] * s, s, 1) if by_element else (s, 0, 1)
    record = SWEEP.pack(
        by_element,
        *layout,
        kind,
        0 if kind == 3 else kind,
        input.data_ptr(),
        0 if gradient is None else gradient.data_ptr(),
        dense, TRUTHS[truth.dtype],
        truth.data_ptr(), layout[1] * s if dense else s, s if dense else 0, 1,
        *coefficients,
        0, 0,
        *map(address, spread), 0, 0,
        options.label_smoothing, 1.0,
        program.gamma, 0,
        *numbers(program.log_factor),
        *numbers(program.rest),
        program.skipped,
        0 if each is None else each.data_ptr(),
        *each_strides,
        ctypes.addressof(total) if each is None else 0,
        address(sums),
        threads(),
    )  # fmt: skip
    if library.sweep(record) != 0:
        return None
    if each is None:
        each = scalar(total.value, dtype)
    if sums is not None:
        sums = sums if spread.scale is None else sums * spread.scale
    return Direct(each, gradient, truth, rows, sums, denominator)


def has_plain_options(options: Options) -> bool:
    """Whether the options are those that the shortcut knows, with values in their domain."""
    return (
        options.sample_weight is None
        and options.normalizer is None
        and (options.link == "sigmoid" or _no_outcome_is_weighted(options))
        and _within(options.alpha, 1.0)
        and _within(options.pos_weight, math.inf)
        and (options.ignore_index is None or -(2**63) <= options.ignore_index < 2**63)
        and options.rejection is None
        and options.margin is None
        and options.background_index is None
        and options.temperature == 1.0
        and 0.0 <= options.label_smoothing <= 1.0
        and (options.weight is None or options.label_smoothing == 0.0 or options.link == "sigmoid")
        and options.reduction in REDUCTIONS
        and options.link in LINKS
    )


def countable(options: Options) -> bool:
    """Whether the sweep can sum the gradient per class: the library keeps no sum of weights."""
    return options.weight is None or options.link == "sigmoid"


def _no_outcome_is_weighted(options: Options) -> bool:
    return options.alpha is options.pos_weight is options.neg_weight is None


def _within(given: float | PerClass | None, most: float) -> bool:
    """Whether `check_options` lets a number pass; what is no number is looked at elsewhere."""
    return not isinstance(given, (int, float)) or 0.0 <= given <= most


class _Spread(NamedTuple):
    """One number per class as the library reads them; None for nothing.

    Attributes:
        positive: coefficient of being the truth (sigmoid; with softmax it is in the rows).
        negative: that of not being it.
        scale: what multiplies the logits.
        bias: what is added to them.
    """

    positive: Tensor | None
    negative: Tensor | None
    scale: Tensor | None
    bias: Tensor | None


_NOTHING = _Spread(None, None, None, None)


def _spread(options: Options, classes: int, dtype: torch.dtype) -> _Spread | None:
    """The numbers per class; None for what is unusual."""
    weights = (options.weight, options.alpha, options.pos_weight, options.neg_weight)
    by_outcome = options.link == "sigmoid" and any(each is not None for each in weights)
    moved = (options.logit_scale, options.logit_bias)
    if not by_outcome and moved[0] is moved[1] is None:
        return _NOTHING
    for values in (*weights, *moved) if by_outcome else moved:
        if isinstance(values, Tensor):
            if values.shape != (classes,) or values.requires_grad or not in_plain_memory(values):
                return None
        elif values is not None and not isinstance(values, float):
            return None
    outcomes = outcome_weights(options) if by_outcome else (None, None)
    found = (*outcomes, *map(tensor_or_none, moved))
    return _Spread(*(each if each is None else _laid_out(each, classes, dtype) for each in found))


def _laid_out(values: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Contiguous, one for each class."""
    values = values.to(dtype)
    return (values if values.dim() else values.expand(classes)).contiguous()
