"""From trials to results: means, paired differences, correction."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from taylored.lab.judgement.statistics import compare_paired

from kit.lab_results import (
    LOSSES,
    METRICS,
    change_trial,
    dataset,
    losses,
    results,
    with_metrics,
)
from taylored.lab.records import to_json


def test_numbers_are_those_of_the_paired_test():
    result = results()
    base, focal = result.losses[0], result.losses[1]
    for key in METRICS:
        pairs = [
            (a.metrics[key], b.metrics[key]) for a, b in zip(focal.trials, base.trials, strict=True)
        ]
        values = [a for a, _ in pairs]
        expected = compare_paired(values, [b for _, b in pairs], test_fraction_ratio=1 / 3)
        cell = focal.versus_baseline[key]
        assert cell.difference == expected.difference
        assert (cell.low, cell.high, cell.p) == (expected.low, expected.high, expected.p)
        assert focal.mean[key] == pytest.approx(np.mean(values), rel=1e-14)
        deviation = focal.standard_deviation[key]
        assert deviation == pytest.approx(np.std(values, ddof=1), rel=1e-12)


def test_correction_runs_over_the_candidates_within_a_metric():
    result = results(LOSSES[:3])
    for key in METRICS:
        cells = [e.versus_baseline[key] for e in result.losses[1:]]
        candidates, control = cells[:-1], cells[-1]
        smallest = min(candidates, key=lambda cell: cell.p)
        assert smallest.p_corrected == pytest.approx(min(1, 3 * smallest.p))
        assert control.p_corrected == control.p


def test_pairs_are_matched_by_seed_not_by_position():
    entries = losses(LOSSES[:2])
    expected = results(entries=entries)
    entries[1] = replace(entries[1], trials=entries[1].trials[::-1])
    assert results(entries=entries) == expected


def test_seeds_without_a_metric_are_left_out():
    entries = losses(LOSSES[:2])
    for seed in (0, 1):
        entries[2] = change_trial(entries[2], seed, lambda trial: with_metrics(trial, nll=None))
    result = results(entries=entries)
    assert result.losses[2].versus_baseline["nll"].n == 3
    json.dumps(to_json(result), allow_nan=False)


def test_empty_groups_are_null():
    data = dataset(4, groups=("head", "head", "tail", "tail"))
    result = results(LOSSES[:1], data=data)
    assert result.losses[0].mean["medium"] is None
    assert result.losses[1].versus_baseline["medium"].n == 0
    json.dumps(to_json(result), allow_nan=False)


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_baseline_is_needed(count):
    baseline, *others = losses(LOSSES[:1], seeds=1)
    with pytest.raises(ValueError, match="exactly one entry with role 'baseline'"):
        results(entries=[*[baseline] * count, *others])


def test_unknown_primary_metric_is_refused():
    with pytest.raises(ValueError, match="primary_metric must be one of"):
        results(LOSSES[:1], seeds=1, primary_metric="f1")
