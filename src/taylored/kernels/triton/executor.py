"""The executor that runs plans on a GPU, in Triton."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor, nn

from taylored.core.context import unobserved
from taylored.core.engine.executor import Swept
from taylored.core.links.class_sums import ClassSums
from taylored.core.plan.plan import Plan
from taylored.kernels.abi import layout_of
from taylored.kernels.executor import accepted_plan, filled, packed
from taylored.kernels.triton.launch import launched


def device_type() -> str:
    """Where kernels run: on GPUs, or on the CPU in Triton's interpreter (TRITON_INTERPRET=1)."""
    return "cpu" if triton.knobs.runtime.interpret else "cuda"


@dataclass(frozen=True, eq=False)
class Triton:
    """Sweeps of the family's common terms on one device."""

    device: str
    """The type of the devices."""

    name: str = "triton"

    def accepts(self, logits: Tensor, plan: Plan) -> bool:
        """Ordinary tensors of the device without overlapping entries, and a term as data."""
        if not unobserved() or logits.numel() == 0:
            return False
        if not all(self._ordinary(each, logits) for each in (logits, plan.target, plan.rows)):
            return False
        return layout_of(logits) is not None and accepted_plan(logits, plan)

    def value(self, logits: Tensor, plan: Plan) -> Tensor:
        """The loss alone."""
        return _run(logits, plan, None, None)

    def sweep(
        self,
        logits: Tensor,
        plan: Plan,
        *,
        sums: ClassSums | None = None,
        into: Tensor | None = None,
    ) -> Swept:
        """Loss, gradient and sums."""
        return filled(_run, logits, plan, sums, into)

    def _ordinary(self, values: Tensor, logits: Tensor) -> bool:
        plain = type(values) is Tensor or type(values) is nn.Parameter
        return (
            plain
            and values.device == logits.device
            and values.device.type == self.device
            and values.layout is torch.strided
            and not values.is_neg()
        )


def _run(logits: Tensor, plan: Plan, gradient: Tensor | None, sums: Tensor | None) -> Tensor:
    return launched(*packed(logits, plan), gradient, sums)
