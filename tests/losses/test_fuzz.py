"""Random calls of every loss, as they come in practice, on every executor and under a compiler.

`TAYLORED_FUZZ=5000 pytest tests/losses/test_fuzz.py` draws more of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from torch import Tensor

from kit.cases import GENERATED, SHAPES, Case, build, call_of, target_kinds
from kit.drawn_calls import calls_of
from kit.executors import PATHS, running
from kit.hazards import (
    HAZARDS,
    Called,
    Hazard,
    any_integer,
    anything_where_ignored,
    classes_elsewhere,
    masked_class,
)
from kit.tolerances import ATOL, GRADIENT_ATOL, GRADIENT_RTOL, RTOL, close
from references import Call

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

drawn_often = settings(
    max_examples=int(os.environ.get("TAYLORED_FUZZ", "30")),
    deadline=None,
    derandomize="TAYLORED_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # a call is small as it is; shrinking takes minutes
)


def run(
    loss: Callable[[Tensor, Tensor], Tensor], called: Called, path: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, gradient, and the same gradient as it is after the graph was used again."""
    logits = called.logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with running(path):
        value = loss(logits, called.target)
        weights = torch.linspace(0.5, 2.0, value.numel(), dtype=value.dtype)
        weights = elsewhere(weights.reshape(with_classes_first(value, called).shape), called)
        (gradient,) = torch.autograd.grad(value, logits, weights, retain_graph=True)
        before = gradient.clone()
        (3.0 * value).backward(weights)
    return value.detach(), before, gradient


def with_classes_first(values: Tensor, called: Called) -> Tensor:
    """What has the shape of the logits, with the classes on axis 1; anything else as it is."""
    axis = called.call.option("class_dim", 1)
    return values.movedim(axis, 1) if values.shape == called.logits.shape else values


def elsewhere(values: Tensor, called: Called) -> Tensor:
    """The way back."""
    axis = called.call.option("class_dim", 1)
    return values.movedim(1, axis) if values.dim() == called.logits.dim() else values


def check(call: Call, hazard: Hazard, called: Called, path: str, dice: torch.Generator) -> None:
    found = hazard(called, dice)
    assume(found is not None)
    wild, tame = found
    compare(run(build(wild.call), wild, path), wild, tame)


def compare(found: tuple[Tensor, Tensor, Tensor], wild: Called, tame: Called) -> None:
    """Refuse another loss, or another gradient, than that of the tame call."""
    (value, gradient, later), kind = found, wild.logits.dtype
    expected, expected_gradient, _ = run(build(tame.call), tame, "composed")
    assert torch.equal(gradient, later), "a gradient that was handed out has changed"
    value, gradient = (with_classes_first(each, wild) for each in (value, gradient))
    if wild.untouched is not None:
        assert bool((gradient[wild.untouched] == 0).all())
    close(value, expected, RTOL[kind], ATOL[kind])
    # Both gradients were rounded to the dtype of the logits, and once more when they were scaled.
    close(gradient, expected_gradient, 2 * GRADIENT_RTOL[kind], 2 * GRADIENT_ATOL[kind])


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", GENERATED)
def test_calls_as_they_come(name: str, hazard: Hazard) -> None:
    @drawn_often
    @given(
        calls_of(name),
        st.sampled_from(SHAPES),
        st.sampled_from(DTYPES),
        st.sampled_from(PATHS),
        st.integers(0, 2**32),
        st.data(),
    )
    def run_one(
        call: Call,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        path: str,
        seed: int,
        data: st.DataObject,
    ) -> None:
        call = call.having(ignore_index=-100) if "ignore_index" in call.arguments else call
        kind = data.draw(st.sampled_from(target_kinds(call)))
        case = Case(call.text(), kind, shape)
        called = Called(call, case.logits(dtype), case.targets(ignored=data.draw(st.booleans())))
        check(call, hazard, called, path, torch.Generator().manual_seed(seed))

    run_one()


@pytest.mark.parametrize("name", GENERATED)
def test_compiled_calls_as_they_come(name: str) -> None:
    """All hazards at once, traced forward and backward as a compiler sees them."""
    for text in GENERATED[name].examples[:1]:
        for kind in target_kinds(call_of(text)):
            case = Case(text, kind, SHAPES[1])
            wild = tame = Called(case.call, case.logits(), case.targets())
            dice = case.generator()
            for hazard in (masked_class, anything_where_ignored, any_integer, classes_elsewhere):
                found = hazard(wild, dice)
                if found is not None:
                    wild, tame = found[0], found[1] if hazard is masked_class else tame
            torch._dynamo.reset()
            compiled = torch.compile(build(wild.call), fullgraph=True, backend="aot_eager")
            compare(run(compiled, wild, "whole"), wild, tame)
