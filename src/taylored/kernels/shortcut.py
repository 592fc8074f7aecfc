"""The native shortcut of eager calls: plain ones need no plan."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.checks import debugging
from taylored.core.context import unobserved
from taylored.core.engine.executor import Direct
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.term import Term
from taylored.kernels.abi import FLOATS
from taylored.kernels.library import Library
from taylored.kernels.ordinary import in_plain_memory
from taylored.kernels.plain import countable, has_plain_options, run_plain
from taylored.kernels.program import program_of


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
        if not has_plain_options(options) or debugging() or not target.is_contiguous():
            return None
        shape = input.shape
        if input.dtype not in FLOATS or len(shape) < 2 or input.numel() == 0:
            return None
        program = program_of(term)
        if program is None or program.gammas is not None:
            return None
        gradient = sums = None
        if input.requires_grad and torch.is_grad_enabled():
            stored = torch.float32 if input.dtype is torch.float16 else input.dtype
            gradient = torch.empty_strided(shape, input.stride(), dtype=stored, device="cpu")
        if options.indicator is not None and options.indicator.collecting():
            if gradient is None or not countable(options):
                return None
            sums = torch.zeros(2, shape[1], dtype=torch.float64, device="cpu")
        return run_plain(self.library, input, target, program, options, gradient, sums)
