"""The sweeps of the overlap losses in the native library."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.context import unobserved
from taylored.core.numerics import computing_dtype
from taylored.core.overlap.batch import Batch
from taylored.kernels.abi import (
    FLOATS,
    LINKS,
    TRUTHS,
    Strides,
    address,
    element_strides,
    layout_of,
    position_strides,
)
from taylored.kernels.executor import Native
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory
from taylored.kernels.threads import threads

OVERLAP = struct.Struct("=9q2Q2qQ3qQ3q2q2q2Qq")
"""The fields of `Overlap` in `cpp/overlap.h` in their order; each takes 8 bytes."""


@dataclass(frozen=True, eq=False)
class NativeOverlap:
    """Sums and gradient on the CPU."""

    library: Library
    name: str = Native.name

    def accepts(self, batch: Batch) -> bool:
        """Ordinary CPU tensors without overlapping entries, and enough positions for each sum."""
        logits, plan = batch.logits, batch.plan
        tensors = (logits, plan.target, plan.rows)
        if not unobserved() or not all(map(in_plain_memory, tensors)) or logits.numel() == 0:
            return False
        if logits.dtype not in FLOATS or plan.rows.dtype != computing_dtype(logits):
            return False
        truths = TRUTHS if plan.target_kind == "dense" else (torch.int64,)
        if plan.target.dtype not in truths or layout_of(logits) is None:
            return False
        return not batch.by_sample or threads() * 5 * batch.groups * batch.classes < 1 << 22

    def sums(self, batch: Batch, squares: bool) -> Tensor:
        """The sums, in float64."""
        found = torch.zeros(
            5 if squares else 3, batch.groups, batch.classes, dtype=torch.float64, device="cpu"
        )
        self._run(batch, None, squares, found, None)
        return found

    def gradient(self, batch: Batch, grad: Tensor) -> Tensor:
        """The gradient, in the layout of the logits."""
        batch = batch.of_counted_samples()
        logits = batch.logits
        used = [0, 1, 3] if len(grad) > 3 else [0, 1]
        factors = torch.zeros(3, *grad.shape[1:], dtype=computing_dtype(logits), device="cpu")
        factors[: len(used)] = grad[used]
        gradient = torch.empty_strided(
            logits.shape, logits.stride(), dtype=logits.dtype, device="cpu"
        )
        self._run(batch, gradient, len(grad) > 3, None, factors)
        return gradient

    def _run(
        self,
        batch: Batch,
        gradient: Tensor | None,
        squares: bool,
        sums: Tensor | None,
        factors: Tensor | None,
    ) -> None:
        logits, plan = batch.logits, batch.plan
        layout, index = layout_of(logits), plan.target_kind == "index"
        assert layout is not None  # noqa: S101 - accepted
        of_target = (position_strides if index else element_strides)(plan.target)
        of_logits, of_rows = layout[3:], element_strides(plan.rows)
        extents = layout[:3]
        if layout[2] == 1 and not batch.by_sample:  # the samples are the positions
            extents = (1, layout[1], layout[0])
            of_logits, of_target, of_rows = map(_turned, (of_logits, of_target, of_rows))
        record = OVERLAP.pack(
            LINKS[plan.link],
            *extents,
            *of_logits,
            FLOATS[logits.dtype],
            FLOATS[logits.dtype],
            address(logits),
            address(gradient),
            0 if index else 1,
            0 if index else TRUTHS[plan.target.dtype],
            address(plan.target),
            *of_target,
            address(plan.rows),
            *of_rows,
            0 if plan.ignore is None or plan.target.dtype == torch.bool else 1,
            plan.ignore or 0,
            batch.by_sample,
            squares,
            address(sums),
            address(factors),
            threads(),
        )
        if self.library.overlap(record) != 0:
            raise RuntimeError(f"the {self.library.level} library refused a sweep it accepted")


def _turned(strides: Strides) -> Strides:
    """Strides of positions that are samples."""
    return 0, strides[1], strides[0]
