"""Every example of every loss that gives one value per position, by what its class declares."""

from __future__ import annotations

import pytest
import torch

from kit.checks import direct as checks
from kit.direct import EXAMPLES, FIRST, SHAPED, Direct

each_shape = pytest.mark.parametrize("case", SHAPED, ids=str)
each_example = pytest.mark.parametrize("case", EXAMPLES, ids=str)
each_loss = pytest.mark.parametrize("case", FIRST, ids=str)


@each_shape
def test_value(case: Direct) -> None:
    checks.check_value(case)


@each_example
def test_function(case: Direct) -> None:
    checks.check_function(case)


@each_example
def test_derivatives(case: Direct) -> None:
    checks.check_derivatives(case)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_example
def test_half(case: Direct, dtype: torch.dtype) -> None:
    checks.check_half(case, dtype)


@each_example
def test_weights(case: Direct) -> None:
    checks.check_weights(case)


@each_example
def test_what_counts_for_nothing(case: Direct) -> None:
    checks.check_what_counts_for_nothing(case)


@each_loss
def test_normalizer(case: Direct) -> None:
    checks.check_normalizer(case)


@each_example
def test_nothing(case: Direct) -> None:
    checks.check_nothing(case)


@each_example
def test_inputs_stay(case: Direct) -> None:
    checks.check_inputs_stay(case)


@each_loss
def test_refused(case: Direct) -> None:
    checks.check_refused(case)


@each_loss
def test_compiled(case: Direct) -> None:
    checks.check_compiled(case)
