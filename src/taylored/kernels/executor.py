"""The executor that runs plans in the native library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.context import unobserved
from taylored.core.engine.executor import Swept, gradient_dtype
from taylored.core.links.class_sums import ClassSums
from taylored.core.links.softmax import single_truth, true_logit
from taylored.core.numerics import computing_dtype, tensor_of
from taylored.core.plan.plan import Block, Plan, sums_by_logits
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.term import Term
from taylored.kernels.abi import FLOATS, TRUTHS, layout_of, spread_per_class
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory
from taylored.kernels.program import program_of
from taylored.kernels.sweep import Batch, Formula, swept


@dataclass(frozen=True, eq=False)
class Native:
    """Sweeps of the family's common terms on the CPU."""

    library: Library
    name: str = "native"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Ordinary CPU tensors without overlapping entries, and a term that is a `Program`."""
        if not unobserved() or not in_plain_memory(logits) or logits.numel() == 0:
            return False
        if not all(map(in_plain_memory, plan.tensors())) or layout_of(logits) is None:
            return False
        return accepted_plan(logits, plan)

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
        return filled(self._run, logits, plan, sums, into)

    def _run(
        self, logits: Tensor, plan: Plan, gradient: Tensor | None, sums: Tensor | None
    ) -> Tensor:
        """Write the gradient, add to the (2, C) sums, and return the loss."""
        batch, formula = packed(logits, plan)
        return swept(self.library, batch, formula, gradient, sums)


Run = Callable[[Tensor, Plan, Tensor | None, Tensor | None], Tensor]
"""(logits, plan, gradient to write, (2, C) sums to add to) -> loss."""


def filled(
    run: Run, logits: Tensor, plan: Plan, sums: ClassSums | None, into: Tensor | None
) -> Swept:
    """A sweep by a function that writes the gradient and the sums into memory it is given."""
    device, gradient = logits.device, into
    if gradient is None or not _fits(gradient, logits):
        gradient = torch.empty_strided(
            logits.shape, logits.stride(), dtype=gradient_dtype(logits), device=device
        )
    total = None
    if sums is not None:
        total = torch.zeros(2, logits.shape[1], dtype=torch.float64, device=device)
    loss = run(logits, plan, gradient, total)
    if sums is not None and total is not None:
        sums.add(sums_by_logits(total, plan))
    if into is not None and gradient is not into:
        gradient = into.copy_(gradient)
    return Swept(loss, gradient)


def accepted_plan(logits: Tensor, plan: Plan) -> bool:
    """Whether the library has code for a plan, wherever its tensors are."""
    if plan.rejection is not None or logits.dtype not in FLOATS:
        return False
    truths = TRUTHS if plan.target_kind == "dense" else (torch.int64,)
    if plan.target.dtype not in truths or plan.rows.dtype != computing_dtype(logits):
        return False
    return program_of(_unshifted(plan)) is not None


def packed(logits: Tensor, plan: Plan) -> tuple[Batch, Formula]:
    """A plan as the tensors and the formula of one sweep."""
    program = program_of(_unshifted(plan))
    assert program is not None  # noqa: S101 - accepted
    batch = Batch(
        logits,
        plan.target,
        plan.rows,
        plan.positive,
        plan.negative,
        plan.scale,
        plan.bias,
        program.gammas,
        *_moved(logits, plan),
    )
    formula = Formula(
        plan.link,
        plan.target_kind == "index",
        plan.ignore,
        plan.smoothing,
        plan.temperature,
        program.gamma,
        program.log_factor,
        program.rest,
        program.skipped,
        plan.output == "each",
    )
    return batch, formula


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
