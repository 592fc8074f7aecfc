"""The native shortcut: calls with class indices and plain options need no plan.

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
from taylored.kernels.abi import FLOATS, LINKS, SWEEP, address, layout_of, numbers, scalar
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory
from taylored.kernels.program import program_of
from taylored.kernels.threads import threads

_REDUCTIONS = {"none": 0, "sum": 0, "mean": 1, "batch_mean": 2}
_CELLS = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}
"""One number in memory; making a tensor of it would take twenty times as long."""

_ELEMENT_MEAN = 3
"""Divide by the elements of the kept positions: "mean" of the sigmoid link."""


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
        if not _plain(options) or target.dtype is not torch.int64 or debugging():
            return None
        shape, kind = input.shape, FLOATS.get(input.dtype)
        positions = target.shape
        if kind is None or len(shape) < 2 or positions != (shape[0], *shape[2:]):
            return None
        if shape[1] == 1:  # refused, or one class and background
            return None
        if input.numel() == 0 or not target.is_contiguous():
            return None
        layout, program = layout_of(input), program_of(term)
        if layout is None or program is None or program.gammas is not None:
            return None
        dtype = torch.float64 if kind == 1 else torch.float32
        counted = self._counted(target, options, shape[1], dtype)
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
            each = torch.empty(shape if by_element else positions, dtype=dtype, device="cpu")
            each_strides = (layout[1] * s, s, 1) if by_element else (s, 0, 1)
        record = SWEEP.pack(
            by_element,
            *layout,
            kind,
            0 if kind == 3 else kind,
            input.data_ptr(),
            0 if gradient is None else gradient.data_ptr(),
            0, 0,
            truth.data_ptr(), s, 0, 1,
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

    def _counted(
        self, target: Tensor, options: Options, classes: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor | float, float | None] | None:
        """Class and coefficient of each position, and what a loss without weights is divided by.

        As in `Direct`; None for what is unusual.
        """
        weight, by_element = options.weight, options.link == "sigmoid"
        if weight is not None:
            if by_element or not isinstance(weight, Tensor) or not in_plain_memory(weight):
                return None
            if weight.requires_grad or weight.shape != (classes,):
                return None
            weight = weight.to(dtype).contiguous()
        ignore, count = options.ignore_index, target.numel()
        asked = (target.data_ptr(), count, ignore is not None, ignore or 0, classes)
        kept = self.library.kept(*asked)
        if kept < 0:
            return None  # a class without a column
        mean = _REDUCTIONS[options.reduction]
        denominator = None
        if mean:
            denominator = float(kept * (classes if by_element and mean == 1 else 1))
        if weight is None and kept == count:
            # Every position counts the same: the targets are right as they are, and one number is
            # the coefficient of all.
            return target, 1.0 / denominator if denominator else 1.0, denominator
        truth = torch.empty(target.shape, dtype=torch.int64, device="cpu")
        rows = torch.empty(target.shape, dtype=dtype, device="cpu")
        find_rows = self.library.rows if dtype is torch.float32 else self.library.rows_double
        find_rows(
            *asked,
            None if weight is None else weight.data_ptr(),
            _ELEMENT_MEAN if by_element and mean == 1 else mean,
            truth.data_ptr(),
            rows.data_ptr(),
        )
        return truth, rows, denominator


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
        and options.reduction in _REDUCTIONS
        and options.link in LINKS
    )
