"""Paired statistics against closed forms, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from taylored.lab.verdict.statistics import RESAMPLED_RATIO, compare_paired


def test_three_pairs_by_hand():
    # Differences 1, 2, 6: mean 3, variance 7. With 2 degrees of freedom Student's t has the closed
    # forms P(|T| > t) = 1 - t / sqrt(2 + t^2) and t(0.975) = 0.95 * sqrt(2 / (1 - 0.95^2)).
    result = compare_paired([2.0, 4.0, 9.0], [1.0, 2.0, 3.0], test_fraction_ratio=0.5)
    error = math.sqrt((1 / 3 + 1 / 2) * 7)
    t = 3 / error
    quantile = 0.95 * math.sqrt(2 / (1 - 0.95**2))
    assert result.difference == 3.0
    assert result.n == 3
    assert result.p == pytest.approx(1 - t / math.sqrt(2 + t**2), rel=1e-12)
    assert result.low == pytest.approx(3 - quantile * error, rel=1e-12)
    assert result.high == pytest.approx(3 + quantile * error, rel=1e-12)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
def test_given_split_is_the_ordinary_paired_t_test(n):
    rng = np.random.default_rng(n)
    candidate, baseline = rng.normal(0.3, 1, n), rng.normal(0, 1, n)
    ours = compare_paired(candidate, baseline, test_fraction_ratio=0.0)
    theirs = stats.ttest_rel(candidate, baseline)
    interval = theirs.confidence_interval(0.95)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-10)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), rel=1e-10)


@pytest.mark.parametrize("ratio", [0.1, RESAMPLED_RATIO, 1.0])
def test_correction_divides_the_t_statistic(ratio):
    rng = np.random.default_rng(7)
    n = 6
    candidate, baseline = rng.normal(0.5, 1, n), rng.normal(0, 1, n)
    t = stats.ttest_rel(candidate, baseline).statistic * math.sqrt((1 / n) / (1 / n + ratio))
    expected = 2 * stats.t.sf(abs(t), n - 1)
    ours = compare_paired(candidate, baseline, test_fraction_ratio=ratio)
    assert ours.p == pytest.approx(expected, rel=1e-10)


def test_swapping_the_sides_turns_the_sign():
    one = compare_paired([0.5, 0.7, 0.9], [0.4, 0.5, 0.4], test_fraction_ratio=1 / 3)
    other = compare_paired([0.4, 0.5, 0.4], [0.5, 0.7, 0.9], test_fraction_ratio=1 / 3)
    assert other.difference == -one.difference
    assert (other.low, other.high) == (-one.high, -one.low)
    assert other.p == one.p


@pytest.mark.parametrize(
    ("candidate", "baseline", "difference"),
    [
        ([], [], None),
        ([0.5], [0.25], 0.25),
        ([0.5, 0.75], [0.25, 0.25], 0.375),
        ([0.5, 0.6, 0.7], [0.5, 0.6, 0.7], 0.0),
        ([0.3, 0.4, 0.5], [0.1, 0.2, 0.3], 0.2),  # equal on paper, not in floating point
    ],
)
def test_no_interval_without_variance_or_with_too_few(candidate, baseline, difference):
    result = compare_paired(candidate, baseline, test_fraction_ratio=1 / 3)
    assert result.difference == (None if difference is None else pytest.approx(difference))
    assert (result.low, result.high, result.p) == (None, None, None)
    assert result.n == len(candidate)


@pytest.mark.parametrize(
    ("candidate", "baseline", "ratio", "message"),
    [
        ([1.0, 2.0], [1.0], 0.3, "candidate and baseline"),
        ([1.0, math.nan, 2.0], [1.0, 1.0, 1.0], 0.3, "finite"),
        ([1.0, 2.0, 2.0], [1.0, math.inf, 1.0], 0.3, "finite"),
        ([1.0, 2.0, 2.0], [1.0, 1.0, 1.0], -0.1, "test_fraction_ratio"),
        ([1.0, 2.0, 2.0], [1.0, 1.0, 1.0], math.nan, "test_fraction_ratio"),
    ],
)
def test_errors_name_the_argument(candidate, baseline, ratio, message):
    with pytest.raises(ValueError, match=message):
        compare_paired(candidate, baseline, test_fraction_ratio=ratio)


def resampled(rng, shape, ratio):
    """Noise of ``shape`` (..., seeds) as Nadeau and Bengio assume it: equally correlated seeds."""
    correlation = ratio / (1 + ratio)
    shared = rng.normal(size=(*shape[:-1], 1))
    own = rng.normal(size=shape)
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own


def test_false_alarms_on_overlapping_training_sets():
    runs, seeds = 4000, 5
    noise = resampled(np.random.default_rng(11), (runs, seeds), RESAMPLED_RATIO)
    zero = [0.0] * seeds

    def rate(ratio):
        alarms = [compare_paired(row, zero, test_fraction_ratio=ratio).p < 0.05 for row in noise]
        return sum(alarms) / runs

    spread = math.sqrt(0.05 * 0.95 / runs)
    assert rate(RESAMPLED_RATIO) == pytest.approx(0.05, abs=3 * spread)
    # The check can fail: the uncorrected test raises far too many alarms on the same numbers.
    assert rate(0.0) > 0.05 + 10 * spread


def test_intervals_cover_the_truth():
    runs, seeds, truth = 3000, 5, 0.7
    rows = truth + resampled(np.random.default_rng(12), (runs, seeds), RESAMPLED_RATIO)
    results = [compare_paired(row, [0.0] * seeds, test_fraction_ratio=1 / 3) for row in rows]
    covered = sum(result.low <= truth <= result.high for result in results) / runs
    assert covered == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / runs))
