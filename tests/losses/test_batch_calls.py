"""Losses whose value belongs to a whole batch: they reduce it in a way of their own."""

from __future__ import annotations

import math

import pytest
import torch

from kit.cases import IGNORED, OF_A_BATCH, SHAPES, Case, build, call_of, identified, target_kinds
from kit.checks import batch_calls as checks
from kit.checks.batch_calls import DTYPES, found
from kit.tolerances import close
from kit.turns import FAST

CASES = identified(
    [
        Case(text, kind, shape)
        for spec in OF_A_BATCH.values()
        for text in spec.examples
        for kind in target_kinds(call_of(text))
        for shape in SHAPES
    ]
)
TEXTS = [text for spec in OF_A_BATCH.values() for text in spec.examples]


@pytest.mark.parametrize(**CASES)
def test_values(case: Case) -> None:
    checks.check_values(case)


@pytest.mark.parametrize(**CASES)
def test_ignored_positions_leave_no_trace(case: Case) -> None:
    target, logits = case.targets(), case.logits()
    gone = target == IGNORED
    if not gone.any():
        return
    gone = (gone if gone.dim() == logits.dim() else gone.unsqueeze(1)).expand(logits.shape)
    expected, slope = found(build(case.call), logits, target)
    for wild in (math.nan, math.inf, -math.inf, 3e38):
        value, gradient = found(build(case.call), logits.masked_fill(gone, wild), target)
        close(value, expected)
        close(gradient, slope)
        assert (gradient[gone] == 0).all()


@pytest.mark.parametrize(**CASES)
def test_samples_without_weight_are_not_there(case: Case) -> None:
    checks.check_samples_without_weight_are_not_there(case)


@pytest.mark.parametrize("text", TEXTS)
def test_any_order(text: str) -> None:
    case = Case(text, target_kinds(call_of(text))[0], SHAPES[0])
    target, logits, order = case.targets(), case.logits(), torch.tensor([3, 1, 6, 0, 2, 5, 4])
    value, gradient = found(build(case.call), logits, target)
    again, other = found(build(case.call), logits[order], target[order])
    close(again, value)
    close(other, gradient[order])


@pytest.mark.parametrize("text", TEXTS)
def test_extremes(text: str) -> None:
    """Finite to the second derivative at |logit| 1e4, and where nothing is left or there."""
    call = call_of(text)
    kinds = target_kinds(call)
    rows = torch.tensor([1e4, -1e4, 0.0, 89.0, -17.0])
    base = torch.stack([rows.roll(i) for i in range(7)])
    for kind in kinds:
        case = Case(text, kind, SHAPES[0])
        for dtype in DTYPES:
            for logits in (base, base * 0, base * 0 + 1e4, -base):
                z = logits.to(dtype).requires_grad_()
                value = build(call)(z, case.targets())
                (first,) = torch.autograd.grad(value, z, create_graph=True)
                assert value.isfinite()
                assert first.isfinite().all()
                if first.requires_grad:
                    second = torch.autograd.grad(first.sum(), z, allow_unused=True)[0]
                    assert second is None or second.isfinite().all()
        logits, target = case.logits(), case.targets()
        if kind != "probabilities":
            nothing = torch.full_like(target, IGNORED)
            value, gradient = found(build(call), logits, nothing)
            assert value == 0
            assert (gradient == 0).all()
        value, gradient = found(build(call), logits[:0], target[:0])
        assert value == 0
        assert gradient.shape == logits[:0].shape


@pytest.mark.parametrize("text", TEXTS)
def test_derivatives_and_transforms(text: str) -> None:
    for kind in target_kinds(call_of(text)):
        case = Case(text, kind, SHAPES[1])
        target, loss = case.targets(), build(case.call)
        z = case.logits().requires_grad_()
        assert torch.autograd.gradcheck(loss, (z, target), fast_mode=FAST)
        value, gradient = found(loss, case.logits(), target)
        close(torch.func.grad(loss)(case.logits(), target), gradient)
        torch._dynamo.reset()
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        again, other = found(compiled, case.logits(), target)
        close(again, value)
        close(other, gradient)
        last = build(case.call.having(class_dim=-1))
        moved = target.movedim(1, -1) if target.dim() == z.dim() else target
        again, other = found(last, case.logits().movedim(1, -1), moved)
        close(again, value)
        close(other.movedim(-1, 1), gradient)


@pytest.mark.parametrize("text", TEXTS)
def test_normalizer_and_sum(text: str) -> None:
    case = Case(text, target_kinds(call_of(text))[0], SHAPES[0])
    target, logits = case.targets(), case.logits()
    total = build(case.call.having(reduction="sum"))(logits, target)
    for amount in (2.5, torch.tensor(4.0)):
        close(build(case.call)(logits, target, normalizer=amount), total / amount)
    assert build(case.call)(logits, target, normalizer=0) == 0
