"""Denominators: what a sum is divided by, and how to go back."""

from __future__ import annotations

import pytest
import torch

from taylored.core.plan.denominator import denominator_of, divided
from taylored.core.state.gradient_indicator import GradientSums


def test_which_number() -> None:
    counted = {"mean": 3, "batch_mean": 2}
    assert denominator_of("none", None, **counted) is None
    assert denominator_of("sum", None, **counted) is None
    assert denominator_of("mean", None, **counted) == 3
    assert denominator_of("batch_mean", None, **counted) == 2
    assert denominator_of("mean", 7.0, **counted) == 7.0


@pytest.mark.parametrize("amount", [4.0, torch.tensor(4.0), torch.tensor([4])])
def test_there_and_back(amount: float | torch.Tensor) -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    once = divided(rows, amount)
    torch.testing.assert_close(once, rows / 4)
    sums = GradientSums.undivided(once, amount)
    torch.testing.assert_close(torch.stack([sums.positive, sums.negative]), rows)
    assert sums.denominator is not None
    assert float(sums.denominator) == 4.0


@pytest.mark.parametrize("nothing", [0, 0.0, torch.tensor(0.0)])
def test_nothing_left_gives_zero_and_not_nan(nothing: float | torch.Tensor) -> None:
    zeros = torch.zeros(2, 3)
    assert torch.equal(divided(zeros, nothing), zeros)
    assert torch.equal(GradientSums.undivided(zeros, nothing).positive, zeros[0])


def test_no_denominator_leaves_everything_alone() -> None:
    rows = torch.ones(2, 3)
    assert divided(rows, None) is rows
    assert GradientSums.undivided(rows, None).denominator is None
