"""The estimate of a difference: every formula spelled out again, and coverage in simulations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from kit.tested_rows import groups_of, many_labels, one_class, taken
from taylored.lab.measures import measure
from taylored.lab.statistics.estimate import MOST_REPEATS
from taylored.lab.statistics.paired import Design, compare_measured, estimate, of_trainings
from taylored.lab.statistics.share import wilson

COUNTS = (40, 25, 12, 6, 5)
POOLED = (0, 0, 1, 2, 2)
WEIGHTS = np.full(5, 0.2)


def design_of(counts=COUNTS, pooled=POOLED, folds: int = 5) -> Design:
    return Design(np.repeat(np.arange(len(counts)), counts), np.array(pooled), folds)


def drawn(repeats: int, folds: int = 5, seed: int = 0):
    """Differences of right and wrong, with parts that repeats share and parts that they do not."""
    rng = np.random.default_rng(seed)
    rows = sum(COUNTS)
    shared = rng.normal(size=rows)
    pseudo = np.sign(np.round(shared + rng.normal(size=(repeats, rows)) + 0.2))
    return pseudo, rng.normal(0.05, 0.03, size=(repeats, folds))


@dataclass
class Spelled:
    """The specification, formula by formula."""

    difference: float
    examples: float
    examples_df: float
    trainings: float
    trainings_df: float
    noise: float
    fold_variance: float

    @property
    def error(self) -> float:
        return math.sqrt(self.examples + self.trainings)

    @property
    def df(self) -> float:
        parts = self.examples**2 / self.examples_df + self.trainings**2 / self.trainings_df
        return self.error**4 / parts


def spelled(pseudo, folds, weights=WEIGHTS, counts=COUNTS, pooled=POOLED) -> Spelled:
    repeats = len(pseudo)
    h = pseudo.mean(axis=0)
    ends = np.cumsum(counts)
    of_class = [h[end - n : end] for n, end in zip(counts, ends, strict=True)]
    difference = sum(w * c.mean() for w, c in zip(weights, of_class, strict=True))
    v, df_parts, noise = [], [], 0.0
    for k, (w, rows) in enumerate(zip(weights, of_class, strict=True)):
        n = len(rows)
        near = [c for c, g in zip(of_class, pooled, strict=True) if g == pooled[k]]
        group = sum(((c - c.mean()) ** 2).sum() for c in near) / sum(len(c) - 1 for c in near)
        own = rows.var(ddof=1) if n > 1 else 0.0
        shrunk = ((n - 1) * own + 4 * group) / (n + 3)
        v.append(w**2 * shrunk / n)
        df_parts.append(v[-1] ** 2 / (n + 3))
        if repeats > 1:
            each = pseudo[:, ends[k] - n : ends[k]]
            noise += w**2 * np.mean(each.var(axis=0, ddof=1)) / n
    examples = sum(v)
    fold_variance = np.mean([row.var(ddof=1) for row in folds])
    return Spelled(
        difference=difference,
        examples=examples,
        examples_df=examples**2 / sum(df_parts),
        trainings=fold_variance / min(5 * repeats, 10),
        trainings_df=4 * repeats,
        noise=noise if repeats > 1 else 0.75 * examples,
        fold_variance=fold_variance,
    )


@pytest.mark.parametrize("repeats", [1, 2, 4])
def test_every_formula(repeats):
    pseudo, folds = drawn(repeats)
    found = estimate(pseudo, folds, design_of(), WEIGHTS)
    expected = spelled(pseudo, folds)
    t = stats.t(expected.df)
    score = expected.difference / expected.error
    assert found.difference == pytest.approx(expected.difference, abs=1e-12)
    assert found.se_examples**2 == pytest.approx(expected.examples, rel=1e-12)
    assert found.se_trainings == pytest.approx(math.sqrt(expected.fold_variance / (5 * repeats)))
    assert found.standard_error == pytest.approx(expected.error, rel=1e-12)
    assert found.df == pytest.approx(expected.df, rel=1e-12)
    assert found.p == pytest.approx(2 * t.sf(abs(score)), rel=1e-9)
    assert found.probability_better == pytest.approx(t.cdf(score), rel=1e-9)
    low, high = t.interval(0.95)
    assert found.low == pytest.approx(expected.difference + low * expected.error, rel=1e-9)
    assert found.high == pytest.approx(expected.difference + high * expected.error, rel=1e-9)
    low, high = expected.difference + np.array(t.interval(0.90)) * expected.error
    assert found.within == pytest.approx(max(abs(low), abs(high)), rel=1e-9)


@pytest.mark.parametrize("repeats", [1, 2, 4])
def test_projections(repeats):
    pseudo, folds = drawn(repeats)
    found = estimate(pseudo, folds, design_of(), WEIGHTS)
    e = spelled(pseudo, folds)
    steady = e.examples - e.noise / repeats
    for more in (1, 2, 3, 8):
        examples = steady + e.noise / more
        trainings = e.fold_variance / min(5 * more, 10)
        error = math.sqrt(examples + trainings)
        assert found.projected_error(more) == pytest.approx(error, rel=1e-12)
        df = error**4 / (examples**2 / e.examples_df + trainings**2 / (4 * more))
        for alpha in (0.05, 0.05 / 9):
            visible = (stats.t.isf(alpha / 2, df) + stats.norm.ppf(0.8)) * error
            assert found.smallest_visible(alpha, more) == pytest.approx(visible, rel=1e-9)
            assert found.repeats_to_decide(visible * (1 + 1e-9), alpha) == more
            assert found.repeats_to_decide(-visible * (1 + 1e-9), alpha) == more
    best = found.smallest_visible(0.05, MOST_REPEATS)
    assert found.repeats_to_decide(best * 0.99, 0.05) is None
    assert found.projected_error(repeats) == found.standard_error


@pytest.mark.parametrize("seed", range(8))
def test_the_noise_of_trainings_is_at_most_all_of_the_variance(seed):
    """Rows that differ by chance alone: the estimate of the noise may come out as too large."""
    pseudo = np.random.default_rng(seed).normal(size=(2, sum(COUNTS)))
    folds = drawn(2)[1]
    found = estimate(pseudo, folds, design_of(), WEIGHTS)
    expected = spelled(pseudo, folds)
    assert found.standard_error == pytest.approx(expected.error, rel=1e-12)
    assert found.projected_error(2) == found.standard_error
    assert found.projected_error(4) < found.standard_error


def test_less_is_better_turns_only_the_probability():
    pseudo, folds = drawn(2)
    more = estimate(pseudo, folds, design_of(), WEIGHTS)
    less = estimate(pseudo, folds, design_of(), WEIGHTS, direction=-1)
    assert less.probability_better == pytest.approx(1 - more.probability_better)
    assert replace(less, direction=1) == more


def test_swapping_the_losses_turns_the_sign():
    pseudo, folds = drawn(2)
    one = estimate(pseudo, folds, design_of(), WEIGHTS)
    other = estimate(-pseudo, -folds, design_of(), WEIGHTS)
    assert other.difference == -one.difference
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert (other.p, other.within) == pytest.approx((one.p, one.within))


def test_losses_that_agree_on_every_row_are_identical():
    rounding = np.full((2, sum(COUNTS)), 1e-15)
    found = estimate(rounding, np.zeros((2, 5)), design_of(), WEIGHTS)
    assert found.identical
    assert found.difference == 0
    assert (found.low, found.high, found.p, found.within) == (None,) * 4
    assert found.probability_better is None
    assert found.smallest_visible(0.05, 1) is None
    assert found.repeats_to_decide(1.0, 0.05) is None


def test_rows_of_other_strata_do_not_matter():
    """Losses that differ on head classes alone are identical on the tail."""
    pseudo, folds = drawn(2)
    pseudo[:, 77:] = 0
    found = estimate(pseudo, np.zeros_like(folds), design_of(), np.array([0, 0, 0, 0.5, 0.5]))
    assert found.identical


def test_a_given_split_has_the_variance_between_its_trainings():
    pseudo, _ = drawn(6)
    seeds = np.random.default_rng(3).normal(size=(6, 1)) / 50
    found = estimate(pseudo, seeds, design_of(folds=1), WEIGHTS)
    expected = spelled(pseudo, np.zeros((6, 5)))
    trainings = seeds.var(ddof=1) / 6
    error = math.sqrt(expected.examples + trainings)
    assert found.standard_error == pytest.approx(error, rel=1e-12)
    df = error**4 / (expected.examples**2 / expected.examples_df + trainings**2 / 5)
    assert found.df == pytest.approx(df, rel=1e-12)
    assert found.se_trainings == pytest.approx(math.sqrt(trainings))
    twelve = expected.examples - expected.noise / 12 + trainings / 2  # noise / 6 becomes noise / 12
    assert found.projected_error(12) == pytest.approx(math.sqrt(twelve), rel=1e-12)


def test_one_training_of_a_given_split_has_no_interval():
    pseudo, _ = drawn(1)
    found = estimate(pseudo, np.array([[0.1]]), design_of(folds=1), WEIGHTS)
    assert found.difference == pytest.approx(spelled(pseudo, np.zeros((1, 5))).difference)
    assert (found.low, found.p, found.se_trainings, found.standard_error) == (None,) * 4


def test_folds_without_the_metric_are_left_out():
    pseudo, folds = drawn(2)
    folds[0, 1] = np.nan
    found = estimate(pseudo, folds, design_of(), WEIGHTS)
    left = [folds[0][[0, 2, 3, 4]], folds[1]]
    assert found.training_variance == pytest.approx(np.mean([row.var(ddof=1) for row in left]))
    assert found.training_df == 7


def test_a_class_of_one_row_leans_on_its_group():
    counts, pooled = (30, 1, 1), (0, 1, 1)
    rng = np.random.default_rng(1)
    pseudo = np.sign(rng.normal(size=(1, 32)))
    found = estimate(pseudo, np.zeros((1, 5)), design_of(counts, pooled), np.full(3, 1 / 3))
    overall = pseudo[0, :30].var(ddof=1)  # nothing else in the group has a variance
    expected = (overall * 33 / 33 / 30 + 2 * 4 * overall / 4) / 9
    assert found.example_variance == pytest.approx(expected)


def test_strata_without_rows_do_not_count():
    design = Design(np.repeat([0, 2], 10), np.zeros(3, int), 5)
    pseudo = np.random.default_rng(0).normal(size=(1, 20))
    found = estimate(pseudo, np.zeros((1, 5)), design, np.array([0.5, 0.0, 0.5]))
    assert found.difference == pytest.approx(pseudo.mean())
    assert np.isfinite(found.example_df)


def test_errors_name_the_argument():
    pseudo, folds = drawn(2)
    with pytest.raises(ValueError, match="pseudo_difference must be"):
        estimate(pseudo[:, 1:], folds, design_of(), WEIGHTS)
    with pytest.raises(ValueError, match="fold_differences must be"):
        estimate(pseudo, folds[:, :3], design_of(), WEIGHTS)


def test_metrics_are_compared_row_by_row():
    one, other = one_class(seed=1), one_class(seed=2)
    other = replace(other, folds=one.folds)
    groups = groups_of(one)
    keys = ("balanced_accuracy", "nll", "auroc", "mcc", "tail", "ece")
    a, b = measure(one, groups, keys), measure(other, groups, keys)
    for key in keys[:-1]:
        found = compare_measured(a[key], b[key], 1)
        assert found.difference == pytest.approx(a[key].value - b[key].value, abs=1e-12)
        assert found.p > 1e-9
        assert compare_measured(a[key], a[key], 1).identical
    assert compare_measured(a["ece"], b["ece"], -1) is None


@pytest.mark.parametrize(("share", "rows"), [(0.0, 5), (0.4, 5), (1.0, 12), (0.37, 148)])
def test_the_interval_of_a_share_is_the_score_interval(share, rows):
    """Its ends are the shares whose normal test just allows what was observed."""
    low, high = wilson(share, rows)
    for end in (low, high):
        if 0 < end < 1:
            score = (share - end) / math.sqrt(end * (1 - end) / rows)
            assert abs(score) == pytest.approx(stats.norm.ppf(0.975), rel=1e-9)
    assert low <= share <= high


def test_the_variance_of_examples_is_that_of_drawn_data_sets():
    """Models are fixed and rows drawn, so that all variance is that of examples."""
    population = [one_class(rows=40_000, repeats=2, seed=s) for s in (1, 2)]
    population[1] = replace(population[1], folds=population[0].folds)
    groups = groups_of(population[0])
    for key in ("balanced_accuracy", "macro_f1", "auroc", "average_precision"):
        found = simulated(population, groups, key, by_class=True)
        assert found["mean"] == pytest.approx(found["true"], rel=0.12), key


def test_the_variance_of_examples_with_many_labels():
    population = [many_labels(rows=30_000, repeats=2, seed=s) for s in (1, 2)]
    population[1] = replace(population[1], folds=population[0].folds, labels=population[0].labels)
    groups = groups_of(population[0])
    for key in ("mean_average_precision", "micro_average_precision", "auroc"):
        found = simulated(population, groups, key, by_class=False)
        assert found["mean"] == pytest.approx(found["true"], rel=0.12), key


def simulated(population, groups, key: str, *, by_class: bool) -> dict[str, float]:
    """Standard deviation of the difference over data sets of 500 rows, true and estimated."""
    rng = np.random.default_rng(5)
    labels = population[0].labels
    differences, variances = [], []
    for _ in range(250):
        if by_class:
            rows = np.concatenate(
                [
                    rng.choice(np.flatnonzero(labels == c), n, replace=False)
                    for c, n in enumerate((200, 150, 75, 50, 25))
                ]
            )
        else:
            rows = rng.choice(len(labels), 500, replace=False)
        a, b = (measure(taken(one, rows), groups, [key])[key] for one in population)
        found = compare_measured(a, b, 1)
        differences.append(found.difference)
        variances.append(found.example_variance)
    return {"true": float(np.std(differences)), "mean": math.sqrt(np.mean(variances))}


def test_intervals_cover_the_truth_where_a_plain_t_test_does_not():
    """Examples and trainings both vary: a t-test over the trainings sees only the second."""
    rng = np.random.default_rng(12)
    counts, repeats, runs = (60, 40, 20, 8, 8), 6, 400
    design = design_of(counts)
    rows = sum(counts)
    effect = rng.normal(0.1, 0.05, size=5)  # of the population, per class
    truth = float(WEIGHTS @ effect)
    ours, plain = 0, 0
    for _ in range(runs):
        example = rng.normal(size=rows) * 0.5 + np.repeat(effect, counts)
        folds = np.array([rng.permutation(rows) % 5 for _ in range(repeats)])
        model = rng.normal(size=(repeats, 5)) * 0.03
        pseudo = (
            example + np.take_along_axis(model, folds, 1) + 0.3 * rng.normal(size=(repeats, rows))
        )
        of_fold = np.empty((repeats, 5))
        for r, k in np.ndindex(repeats, 5):
            part = np.where(folds[r] == k, 1.0, np.nan) * pseudo[r]
            means = [
                np.nanmean(part[design.strata == c])
                for c in range(5)
                if np.any((folds[r] == k) & (design.strata == c))
            ]
            of_fold[r, k] = np.mean(means)
        found = estimate(pseudo, of_fold, design, WEIGHTS)
        ours += found.low <= truth <= found.high
        low, high = stats.t.interval(
            0.95, 5 * repeats - 1, of_fold.mean(), stats.sem(of_fold, axis=None)
        )
        plain += low <= truth <= high
    assert ours / runs > 0.94
    # Five folds of one repeat are nearly independent; repeats of the same rows are not.
    assert plain / runs < 0.80


def test_one_number_per_training_has_the_interval_of_a_paired_t_test():
    values = np.random.default_rng(0).normal(0.1, 0.2, size=(1, 5))
    found = of_trainings(values)
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values, axis=None))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(values[0], 0).pvalue)


def test_trainings_without_numbers_give_no_estimate():
    assert of_trainings(np.array([[0.1, np.nan, 0.2]])) is None
    assert of_trainings(np.array([[0.1]])) is None
