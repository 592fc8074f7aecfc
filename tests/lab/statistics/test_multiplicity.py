"""Holm's correction, and the levels of several looks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from taylored.lab.statistics.multiplicity import LOOKS, holm


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([0.01, 0.06, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04, 0.04]) == pytest.approx([0.08, 0.08])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_holm_rejects_as_the_step_down_procedure_does():
    rng = np.random.default_rng(3)
    for _ in range(200):
        p = rng.beta(0.3, 3, rng.integers(1, 8)).tolist()
        rejected = [False] * len(p)
        for rank, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] >= 0.05 / (len(p) - rank):
                break
            rejected[index] = True
        assert [value < 0.05 for value in holm(p)] == rejected


def test_holm_does_not_depend_on_the_order():
    p = [0.011, 0.012, 0.2, 0.04]
    expected = dict(zip(p, holm(p), strict=True))
    for order in itertools.permutations(p):
        assert holm(order) == [expected[value] for value in order]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_probability(wrong):
    with pytest.raises(ValueError, match="p_values"):
        holm([0.5, wrong])


@pytest.mark.parametrize("looks", LOOKS)
def test_looks_err_in_five_percent_together(looks):
    """Sums of independent normal parts, as data sets of one size come in one by one."""
    rng = np.random.default_rng(looks)
    runs = 400_000
    sums = rng.normal(size=(runs, looks)).cumsum(axis=1)
    scores = np.abs(sums) / np.sqrt(np.arange(1, looks + 1))
    limit = stats.norm.isf(LOOKS[looks] / 2)
    assert (scores > limit).any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)
    # The check can fail: looking again at the level of one look errs more often.
    if looks > 1:
        assert (scores > stats.norm.isf(0.025)).any(axis=1).mean() > 0.08
