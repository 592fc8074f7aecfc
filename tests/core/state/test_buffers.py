"""Buffers that are read and updated in one forward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from taylored.core.state.buffers import held, keep_wide
from taylored.core.state.side_effects import refuse_inside_transforms


def test_held_values_survive_an_update_in_compiled_code() -> None:
    def step(x: Tensor, state: Tensor) -> Tensor:
        scale = held(state) * 2.0
        state.add_(1.0)
        return (x * scale).sum()

    for run in (step, torch.compile(step, backend="aot_eager", fullgraph=True)):
        x, state = torch.ones(3, requires_grad=True), torch.ones(())
        run(x, state.clone()).backward()
        assert torch.equal(x.grad, torch.full((3,), 2.0))


def test_half_precision_is_undone_and_nothing_else() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("sums", torch.full((2,), 70_000.0))

        def _apply(self, fn, recurse=True):
            before = {"sums": self.sums}
            super()._apply(fn, recurse)
            keep_wide(self, before)
            return self

    module = Counting()
    for move in (module.half, module.bfloat16):
        assert move().sums.dtype == torch.float32
        assert module.sums.tolist() == [70_000.0] * 2
    assert module.double().sums.dtype == torch.float64


def test_side_effects_are_refused_inside_transforms_only() -> None:
    refuse_inside_transforms("in eval mode", "call loss.eval()")

    def function(x: Tensor) -> Tensor:
        refuse_inside_transforms("in eval mode", "call loss.eval()")
        return x

    with pytest.raises(ValueError, match=r"in eval mode inside torch\.func.*Fix: call loss\.eval"):
        torch.func.vmap(function)(torch.ones(2))
