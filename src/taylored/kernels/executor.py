"""The executor that runs plans in the native library."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.context import unobserved
from taylored.core.engine.executor import Swept, gradient_dtype
from taylored.core.inputs.targets import check_truths
from taylored.core.links.class_sums import ClassSums
from taylored.core.links.softmax import single_truth, true_logit
from taylored.core.numerics import computing_dtype, tensor_of
from taylored.core.plan.plan import Block, Plan, sums_by_logits
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.term import Term
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
    spread_per_class,
)
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory
from taylored.kernels.program import program_of
from taylored.kernels.threads import threads

_OUTSIDE = 2
"""What the library returns where a truth of the sigmoid link is outside [0, 1]."""


@dataclass(frozen=True, eq=False)
class Native:
    """Sweeps of the family's common terms on the CPU."""

    library: Library
    name: str = "native"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Ordinary CPU tensors without overlapping entries, and a term that is a `Program`."""
        if plan.rejection is not None or not unobserved():
            return False
        if not in_plain_memory(logits) or not all(map(in_plain_memory, plan.tensors())):
            return False
        if logits.dtype not in FLOATS or plan.rows.dtype != computing_dtype(logits):
            return False
        truths = TRUTHS if plan.target_kind == "dense" else (torch.int64,)
        if plan.target.dtype not in truths or logits.numel() == 0:
            return False
        return layout_of(logits) is not None and program_of(_unshifted(plan)) is not None

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone."""
        return self._run(logits, plan, None, None)

    def sweep(
        self,
        logits: Tensor,
        plan: Plan,
        *,
        sums: ClassSums | None = None,
        into: Tensor | None = None,
    ) -> Swept:
        """Loss, gradient and sums."""
        gradient = into
        if gradient is None or not _fits(gradient, logits):
            gradient = torch.empty_strided(
                logits.shape, logits.stride(), dtype=gradient_dtype(logits), device="cpu"
            )
        total = None
        if sums is not None:
            total = torch.zeros(2, logits.shape[1], dtype=torch.float64, device="cpu")
        loss = self._run(logits, plan, gradient, total)
        if sums is not None and total is not None:
            sums.add(sums_by_logits(total, plan).to(computing_dtype(logits)))
        if into is not None and gradient is not into:
            gradient = into.copy_(gradient)
        return Swept(loss, gradient)

    def _run(
        self, logits: Tensor, plan: Plan, gradient: Tensor | None, sums: Tensor | None
    ) -> Tensor:
        """Write the gradient, add to the (2, C) sums, and return the loss."""
        layout, program = layout_of(logits), program_of(_unshifted(plan))
        assert layout is not None  # noqa: S101 - accepted
        assert program is not None  # noqa: S101 - accepted
        dtype = computing_dtype(logits)
        index = plan.target_kind == "index"
        # Names keep these tensors alive until the library returns.
        positive, negative, scale, bias, gammas = (
            spread_or_none(values, logits)
            for values in (plan.positive, plan.negative, plan.scale, plan.bias, program.gammas)
        )
        added, growth = _moved(logits, plan)
        total, each = ctypes.c_double(), None
        if plan.output == "each":
            by_position = plan.link == "softmax"
            shape = logits.shape[:1] + logits.shape[2:] if by_position else logits.shape
            each = torch.empty(shape, dtype=dtype, device="cpu")
        each_strides = (0, 0, 0)
        if each is not None:
            each_strides = (
                position_strides(each) if plan.link == "softmax" else element_strides(each)
            )
        record = SWEEP.pack(
            LINKS[plan.link],
            *layout,
            FLOATS[logits.dtype],
            FLOATS[logits.dtype if gradient is None else gradient.dtype],
            address(logits),
            address(gradient),
            0 if index else 1,
            0 if index else TRUTHS[plan.target.dtype],
            address(plan.target),
            *(position_strides(plan.target) if index else element_strides(plan.target)),
            address(plan.rows),
            *element_strides(plan.rows),
            0 if plan.ignore is None else 1,
            plan.ignore or 0,
            address(positive),
            address(negative),
            address(scale),
            address(bias),
            address(added),
            address(growth),
            plan.smoothing,
            plan.temperature,
            program.gamma,
            address(gammas),
            *numbers(program.log_factor),
            *numbers(program.rest),
            program.skipped,
            address(each),
            *each_strides,
            ctypes.addressof(total) if each is None else 0,
            address(sums),
            threads(),
        )
        code = self.library.sweep(record)
        if code == _OUTSIDE:
            check_truths(plan.target, plan.ignore, plan.rows)
        if code != 0:
            raise RuntimeError(f"the {self.library.level} library refused a sweep it accepted")
        return scalar(total.value, dtype) if each is None else each


def _unshifted(plan: Plan) -> Term:
    """The term without a margin that is taken off the log odds of the one truth."""
    if isinstance(plan.term, Shifted) and plan.link == "softmax" and single_truth(plan):
        return plan.term.term
    return plan.term


def _moved(logits: Tensor, plan: Plan) -> tuple[Tensor | None, Tensor | None]:
    """What the margin of each position is larger by, and how its true logit's pull grows."""
    added: Tensor | None = None
    if plan.link != "softmax" or not single_truth(plan):
        return None, None
    if isinstance(plan.term, Shifted):
        shift = spread_per_class(tensor_of(plan.term.margin, torch.float64), logits)
        added = -shift[plan.target].contiguous()
    if plan.margin is None:
        return added, None
    block = Block(logits, plan.target, plan.rows, plan.margin)
    logit = true_logit(block, plan.target.unsqueeze(1)).detach()
    further = plan.margin.added(logit).squeeze(1).div_(plan.temperature).contiguous()
    growth = plan.margin.growth(logit).squeeze(1).add_(1.0).contiguous()
    return further if added is None else added + further, growth


def _fits(buffer: Tensor, logits: Tensor) -> bool:
    """Whether the library can write a gradient of these logits there."""
    dtypes = (logits.dtype, gradient_dtype(logits))
    return buffer.dtype in dtypes and buffer.stride() == logits.stride()
