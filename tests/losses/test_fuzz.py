"""Random calls of every loss as they come in practice, on every executor and under a compiler.

`TAYLORED_FUZZ=5000 pytest tests/losses/test_fuzz.py` draws more of them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor

from kit.cases import GENERATED, IGNORED, SHAPES, Case, build, call_of, target_kinds
from kit.drawn_calls import calls_of
from kit.executors import PATHS, running
from kit.hazards import HAZARDS, Called, Pair, common_offset, some_of
from kit.tolerances import ATOL, GRADIENT_ATOL, GRADIENT_RTOL, RTOL, close
from kit.turns import WHOLE_GRID, by_family
from references import Call

DTYPES = (torch.float64, torch.float32, torch.float32, torch.bfloat16, torch.float16)

drawn_often = settings(
    max_examples=int(os.environ.get("TAYLORED_FUZZ", "16")),
    deadline=None,
    derandomize="TAYLORED_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # a call is small as it is, and shrinking is slow
)

Loss = Callable[[Tensor, Tensor], Tensor]


def run(loss: Loss, called: Called, path: str) -> tuple[Tensor, Tensor]:
    """Loss and gradient, with the classes on axis 1; a gradient that is held must not change."""
    logits = called.logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    axis = called.call.option("class_dim", 1)
    torch.manual_seed(0)  # for losses that draw
    with running(path):
        value = loss(logits, called.target)
        if value.shape == logits.shape:
            value = value.movedim(axis, 1)
        weights = torch.linspace(0.5, 2.0, value.numel(), dtype=value.dtype).reshape(value.shape)
        (gradient,) = torch.autograd.grad(value, logits, weights, retain_graph=True)
        before = gradient.clone()
        (3.0 * value).backward(weights)
    assert torch.equal(gradient, before), "a gradient that was handed out has changed"
    return value.detach(), gradient.movedim(axis, 1)


def check(loss: Loss, pair: Pair, path: str) -> None:
    """Refuse another loss, or another gradient, than that of the tame call."""
    kind = pair.wild.logits.dtype
    value, gradient = run(loss, pair.wild, path)
    expected, expected_gradient = run(build(pair.tame.call), pair.tame, "composed")
    assert bool((gradient[pair.untouched] == 0).all())
    close(value, expected, RTOL[kind], ATOL[kind])
    # Both gradients were rounded to the dtype of the logits, and once more when they were scaled.
    # A sum that cancels is as exact as its summands, as large as the gradients beside it.
    size = expected_gradient.double().abs().amax(dim=1, keepdim=True).clamp(min=1.0)
    tolerances = 2 * GRADIENT_RTOL[kind], 2 * GRADIENT_ATOL[kind]
    close(gradient / size, expected_gradient / size, *tolerances)


@pytest.mark.parametrize("name", GENERATED)
def test_calls_as_they_come(name: str) -> None:
    @drawn_often
    @given(
        calls_of(name),
        st.sampled_from(SHAPES),
        st.sampled_from(DTYPES),
        st.sampled_from(PATHS),
        st.integers(0, 2**32),
    )
    def run_one(
        call: Call, shape: tuple[int, ...], dtype: torch.dtype, path: str, seed: int
    ) -> None:
        dice = torch.Generator().manual_seed(seed)
        if call.option("ignore_index", IGNORED) != IGNORED:
            call = call.having(ignore_index=IGNORED)
        kinds = target_kinds(call)
        case = Case(call.text(), kinds[seed % len(kinds)], shape)
        pair = some_of(Pair.of(case, dtype), dice)
        check(build(pair.wild.call), pair, path)

    run_one()


@by_family
@pytest.mark.parametrize("name", GENERATED)
def test_compiled_calls_as_they_come(name: str) -> None:
    """All hazards at once, traced forward and backward as a compiler sees them."""
    text = GENERATED[name].examples[0]
    kinds = target_kinds(call_of(text))
    turn = zlib.crc32(name.encode()) % len(kinds)
    for kind in kinds if WHOLE_GRID else kinds[turn : turn + 1]:
        case = Case(text, kind, SHAPES[1])
        pair = Pair.of(case, torch.float64)
        for hazard in HAZARDS:
            if hazard is not common_offset:  # a matter of float32
                pair = hazard(pair, case.generator())
        torch._dynamo.reset()
        loss = torch.compile(build(pair.wild.call), fullgraph=True, backend="aot_eager")
        check(loss, pair, "whole")
