"""Buffers that are read and updated in one forward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from taylored.core.links.class_sums import RunningSums
from taylored.core.state.buffers import held, keep_wide
from taylored.core.state.gradient_indicator import GradientIndicator, GradientSums
from taylored.core.state.side_effects import refuse_inside_transforms, refuse_side_effects


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


def test_forwards_inside_backward_are_refused_and_hooks_may_count() -> None:
    x = torch.ones(2, requires_grad=True)
    indicator = GradientIndicator(2)

    def hook(gradient: Tensor) -> None:
        with pytest.raises(ValueError, match="outside of activation checkpointing"):
            refuse_side_effects("in eval mode", "call loss.eval()")
        indicator.update(GradientSums(gradient.abs(), gradient.abs(), None))

    refuse_side_effects("in eval mode", "call loss.eval()")
    x.register_hook(hook)
    (3 * x).sum().backward()
    assert indicator.positive.tolist() == [3.0, 3.0]


def test_sums_of_one_batch_go_on_past_the_digits_of_float32() -> None:
    sums = RunningSums.of(torch.zeros(1, 2))
    sums.positive.fill_(2.0**26)
    sums.negative.fill_(2.0**26)
    one = torch.ones(1, 2)
    sums.add_single(one, torch.zeros(1, dtype=torch.int64))
    sums.add_rivals(torch.tensor([[0.0, 1.0]]), one[:, :1], torch.zeros(1, 1, dtype=torch.int64))
    sums.add_shares(one, one[:, :1], one[:, :1], torch.zeros(1, 1, dtype=torch.int64))
    sums.add_split(one, one)
    assert (sums.stacked() - 2.0**26).tolist() == [[4.0, 1.0], [1.0, 3.0]]
