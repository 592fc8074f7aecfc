"""Every example of every overlap loss, by what its class declares."""

from __future__ import annotations

import pytest
import torch

import taylored
from kit.checks import overlap as checks
from kit.executors import HAS_NATIVE
from kit.overlap import EXAMPLES, FIRST, SHAPED, TURNED, Case
from kit.turns import by_family

PATHS = ("blocked", *(("native",) if HAS_NATIVE else ()))

each = pytest.mark.parametrize("case", SHAPED, ids=str)
in_turn = pytest.mark.parametrize("case", TURNED, ids=str)
each_example = pytest.mark.parametrize("case", EXAMPLES, ids=str)
each_loss = pytest.mark.parametrize("case", FIRST, ids=str)
each_path = pytest.mark.parametrize("path", PATHS)


@each_path
@each
def test_value(case: Case, path: str) -> None:
    checks.check_value(case, path)


@each_example
def test_function(case: Case) -> None:
    checks.check_function(case)


@in_turn
def test_derivatives(case: Case) -> None:
    checks.check_derivatives(Case(case.text, case.kind, small(case)))


def small(case: Case) -> tuple[int, ...]:
    return (2, 3, *(min(2, size) for size in case.shape[2:]))


@each
def test_soft_targets_learn(case: Case) -> None:
    checks.check_soft_targets_learn(Case(case.text, case.kind, small(case)))


@each_path
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@in_turn
def test_half(case: Case, dtype: torch.dtype, path: str) -> None:
    checks.check_half(case, dtype, path)


@each_path
@in_turn
def test_weights(case: Case, path: str) -> None:
    checks.check_weights(case, path)


@each_path
@in_turn
def test_class_weights(case: Case, path: str) -> None:
    checks.check_class_weights(case, path)


@each_path
@in_turn
def test_ignored(case: Case, path: str) -> None:
    checks.check_ignored(case, path)


@each_path
@in_turn
def test_samples_that_count_for_nothing(case: Case, path: str) -> None:
    checks.check_samples_that_count_for_nothing(case, path)


@each_loss
def test_normalizer(case: Case) -> None:
    checks.check_normalizer(case)


@each_path
@in_turn
def test_nothing(case: Case, path: str) -> None:
    checks.check_nothing(case, path)


@each_path
@in_turn
def test_extremes(case: Case, path: str) -> None:
    checks.check_extremes(case, path)


@each_path
@in_turn
def test_layouts(case: Case, path: str) -> None:
    checks.check_layouts(case, path)


@each_path
@each_loss
def test_inputs_stay(case: Case, path: str) -> None:
    checks.check_inputs_stay(case, path)


@each_loss
def test_refused(case: Case) -> None:
    checks.check_refused(case)


@by_family
@each_loss
def test_compiled(case: Case) -> None:
    checks.check_compiled(case)


@each_loss
def test_transforms(case: Case) -> None:
    checks.check_transforms(case)


@each_path
@pytest.mark.parametrize("text", ["dice()", "dice(exponent=2)", "tversky()"])
def test_ones_in_half_precision(text: str, path: str) -> None:
    checks.check_ones_in_half_precision(Case(text), path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_class_of_weight_0_costs_nothing_however_much_it_would(dtype: torch.dtype) -> None:
    logits = torch.zeros(2, 3, 5, 5, dtype=dtype)
    logits[:, 0] = -1e4
    logits.requires_grad_()
    target = torch.ones(2, 5, 5, dtype=torch.long)
    target[:, 2] = 2
    value = taylored.cldice_loss(
        logits, target, weight=[0.0, 1.0, 1.0], smooth_numerator=1.0, smooth_denominator=2.2e-308
    )
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    assert gradient.isfinite().all()
