"""One process that counts every forward as a batch, against the way of many and of a compiler."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from taylored import GradientIndicator
from taylored.core.state.gradient_indicator import GradientSums, Scale

SUMS = torch.tensor([[1.5, 0.0, 2.0], [0.25, 3.0, 1.0]], dtype=torch.float64)


def both(count: int = 2, *, sums: Tensor = SUMS, denominator=None, **settings) -> list[Tensor]:
    """The state by `count`, minus that by `update`."""
    one, other = (GradientIndicator(3, **settings) for _ in range(2))
    for factor in range(1, count + 1):
        one.count(factor * sums, denominator)
        other.update(GradientSums.undivided(factor * sums, denominator))
    return [getattr(one, name) - getattr(other, name) for name in ("positive", "negative", "steps")]


@pytest.mark.parametrize("scale", ["sum", "mean"])
@pytest.mark.parametrize("decay", [1.0, 0.5])
@pytest.mark.parametrize("denominator", [None, 4.0, 0.0, torch.tensor(4), torch.tensor(0.0)])
def test_the_state_is_that_of_an_update(scale: Scale, decay: float, denominator: object) -> None:
    for difference in both(scale=scale, decay=decay, denominator=denominator):
        torch.testing.assert_close(difference, torch.zeros_like(difference))


def test_float32_sums_are_added_to_float64() -> None:
    for difference in both(sums=SUMS.float(), denominator=4.0):
        torch.testing.assert_close(difference, torch.zeros_like(difference))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_batch_that_is_not_finite_is_left_out(wrong: float) -> None:
    indicator = GradientIndicator(3, decay=0.5)
    indicator.count(SUMS, 2.0)
    before = {name: values.clone() for name, values in indicator.state_dict().items()}
    indicator.count(
        SUMS.index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(wrong).double()), 2.0
    )
    torch.testing.assert_close(dict(indicator.state_dict()), before, rtol=0, atol=0)
    assert int(indicator.steps) == 1


def test_micro_batches_wait_for_their_group() -> None:
    indicator = GradientIndicator(3)
    indicator.accumulate(2)
    indicator.count(SUMS, 4.0)
    assert int(indicator.steps) == 0
    indicator.count(SUMS, 4.0)
    assert int(indicator.steps) == 1
    torch.testing.assert_close(indicator.positive, 8 * SUMS[0])


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="4 classes"):
        GradientIndicator(4).count(SUMS, None)


def test_it_is_refused_inside_transforms() -> None:
    indicator = GradientIndicator(3)
    with pytest.raises(ValueError, match="torch.func"):
        torch.func.vmap(lambda sums: indicator.count(sums, None) or sums)(SUMS.expand(2, 2, 3))
    assert int(indicator.steps) == 0
