"""Batch size and epochs that follow from a budget."""

import pytest

from taylored.lab.run.budget import STEPS, batch_size_for, epochs_for


def test_small_data_get_small_batches_and_many_epochs():
    assert batch_size_for(47_408, "single-label") == 256
    assert batch_size_for(445, "single-label") == 16
    assert batch_size_for(2_000, "single-label") == 64
    assert epochs_for(47_408, 256, 2200) == 12
    assert epochs_for(445, 16, 2200) == 79
    assert epochs_for(10_000_000, 256, 2200) == 2


@pytest.mark.parametrize("task", STEPS)
def test_quick_takes_a_fraction_of_the_steps(task):
    assert 0.25 < STEPS[task]["quick"] / STEPS[task]["default"] < 0.5
