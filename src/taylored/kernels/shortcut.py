"""The native shortcut: calls with plain options need no plan.

It saves the overhead of a plan on small batches, and the passes of `prepare` over the targets on
large ones. It may decline any call: the plan gives the same result, or the error message.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from taylored.core.checks import debugging
from taylored.core.context import unobserved
from taylored.core.engine.executor import Direct
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.term import Term
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
from taylored.kernels.program import program_of
from taylored.kernels.threads import threads

_CELLS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}
"""One number in memory; making a tensor of it would take twenty times as long."""


@dataclass(frozen=True, eq=False)
class NativeShortcut:
    """The shortcut of `Native`."""

    library: Library

    def __call__(
        self, input: Logits, target: Tensor, term: Term, options: Options
    ) -> Direct | None:
        """The loss, and its gradient if the input wants one; None for anything unusual."""
        if not isinstance(input, Tensor):
            return None
        if not (unobserved() and in_plain_memory(input) and in_plain_memory(target)):
            return None
        if not _plain(options) or debugging() or not target.is_contiguous():
            return None
        shape, kind = input.shape, FLOATS.get(input.dtype)
        if kind is None or len(shape) < 2 or input.numel() == 0:
            return None
        layout, program = layout_of(input), program_of(term)
        if layout is None or program is None or program.gammas is not None:
            return None
        dtype = torch.float64 if kind == 1 else torch.float32
        dense = target.shape == shape
        if dense:
            counted = count_truths(target, options)
        else:
            counted = count_indices(self.library, target, options, shape, dtype)
        moved = _moved(options, shape[1], dtype)
        if counted is None or moved is None:
            return None
        truth, rows, denominator = counted
        s = layout[2]
        if isinstance(rows, Tensor):
            cell, coefficients = None, (rows.data_ptr(), s, 0, 1)
        else:
            cell = _CELLS[dtype](rows)  # a name keeps it alive until the library returns
            coefficients = (ctypes.addressof(cell), 0, 0, 0)
        by_element = options.link == "sigmoid"
        gradient = each = None
        if input.requires_grad and torch.is_grad_enabled():
            stored = torch.float32 if kind == 3 else input.dtype
            gradient = torch.empty_strided(shape, input.stride(), dtype=stored, device="cpu")
        sums = None
        if options.indicator is not None and options.indicator.collecting():
            if gradient is None or options.weight is not None:
                return None  # the sums come with a gradient; the library keeps no sum of weights
            sums = torch.zeros(2, shape[1], dtype=torch.float64, device="cpu")
        total = ctypes.c_double()
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
            0, 0, address(moved.scale), address(moved.bias), 0, 0,
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
        if self.library.sweep(record) != 0:
            return None
        if each is None:
            each = scalar(total.value, dtype)
        if sums is not None:
            sums = (sums if moved.scale is None else sums * moved.scale).to(dtype)
        return Direct(each, gradient, truth, rows, sums, denominator)


class _Moved(NamedTuple):
    """What each class's logits are multiplied by and what is added to them; None for nothing."""

    scale: Tensor | None
    bias: Tensor | None


_UNMOVED = _Moved(None, None)


def _moved(options: Options, classes: int, dtype: torch.dtype) -> _Moved | None:
    """Scale and bias as the library reads them; None for what is unusual."""
    if options.logit_scale is None and options.logit_bias is None:
        return _UNMOVED
    found = []
    for values in (options.logit_scale, options.logit_bias):
        if values is not None:
            if not isinstance(values, Tensor) or values.shape != (classes,):
                return None
            if values.requires_grad or not in_plain_memory(values):
                return None
            values = values.to(dtype).contiguous()
        found.append(values)
    return _Moved(*found)


def _plain(options: Options) -> bool:
    """Whether the options are those that the shortcut knows, with values in their domain."""
    return (
        options.sample_weight is None
        and options.normalizer is None
        and options.alpha is None
        and options.pos_weight is None
        and options.neg_weight is None
        and (options.ignore_index is None or -(2**63) <= options.ignore_index < 2**63)
        and options.rejection is None
        and options.margin is None
        and options.background_index is None
        and options.temperature == 1.0
        and 0.0 <= options.label_smoothing <= 1.0
        and (options.weight is None or options.label_smoothing == 0.0)
        and options.reduction in REDUCTIONS
        and options.link in LINKS
    )
