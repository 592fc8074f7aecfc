"""Calibration error, its expectation under perfect calibration, and the reliability diagram."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kit.tested_rows import many_labels, one_class
from taylored.lab import measures
from taylored.lab.measures.calibration import calibration


def two_classes(p: np.ndarray, right: np.ndarray) -> measures.Tested:
    """Rows of class 0 or 1, taken for class 1 with confidence p; several repeats as (R, N)."""
    p, right = np.atleast_2d(p), np.atleast_2d(right)
    log_p = torch.from_numpy(np.stack([np.log1p(-p), np.log(p)], axis=2))
    labels = right[0].astype(np.int64)
    return measures.Tested(log_p.float(), labels, np.zeros(p.shape, int), log_p)


def spelled(p: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        inside = np.minimum((p * 15).astype(int), 14) == b
        total += abs(float(np.sum(right[inside] - p[inside])))
    return total / len(p)


def drawn(rows: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    odds = np.abs(rng.normal(0, 2, rows)) + 0.2
    p = 1 / (1 + np.exp(-odds))
    return p, rng.random(rows) < 1 / (1 + np.exp(-odds / temperature))


def test_the_observed_error_is_that_of_fifteen_bins():
    p, right = drawn(700, 2.0, 1)
    assert calibration(two_classes(p, right)).observed == pytest.approx(spelled(p, right))


@pytest.mark.parametrize("rows", [5, 20, 150, 2000])
def test_resolution_is_the_error_of_a_perfectly_calibrated_model(rows):
    p, right = drawn(rows, 1.0, rows)
    rng = np.random.default_rng(rows)
    simulated = [spelled(p, rng.random(rows) < p) for _ in range(3000)]
    expected = calibration(two_classes(p, right)).resolution
    assert expected == pytest.approx(np.mean(simulated), rel=0.02)


def test_resolution_of_labels_that_are_hardly_ever_there():
    rng = np.random.default_rng(2)
    p = rng.beta(0.2, 30, size=(40, 30))
    log_p = torch.from_numpy(np.log(p))[None]
    labels = (rng.random(p.shape) < p).astype(np.int8)
    tested = measures.Tested(log_p.float(), labels, np.zeros((1, 40), int), log_p)
    simulated = [spelled(p.ravel(), rng.random(p.size) < p.ravel()) for _ in range(3000)]
    assert calibration(tested).resolution == pytest.approx(np.mean(simulated), rel=0.06)


@pytest.mark.parametrize("rows", [150, 1500])
def test_debiased_is_nearer_to_the_truth_than_what_is_observed(rows):
    for temperature, truth in ((1.0, 0.0), (1.4, None), (3.0, None)):
        if truth is None:
            p, _ = drawn(200_000, 1.0, 0)
            odds = np.log(p) - np.log1p(-p)
            truth = spelled(p, 1 / (1 + np.exp(-odds / temperature)))
        found = [calibration(two_classes(*drawn(rows, temperature, s))) for s in range(200)]
        observed = np.sqrt(np.mean([(one.observed - truth) ** 2 for one in found]))
        debiased = np.sqrt(np.mean([(one.debiased - truth) ** 2 for one in found]))
        assert debiased < 1.05 * observed
        if temperature == 1.0:
            assert debiased < 0.6 * observed


def test_certain_predictions_have_no_resolution():
    p = np.full(10, 1.0)
    log_p = torch.tensor([[[-torch.inf, 0.0]] * 10], dtype=torch.float64)
    labels = np.array([1] * 7 + [0] * 3)
    tested = measures.Tested(log_p.float(), labels, np.zeros((1, 10), int), log_p)
    found = calibration(tested)
    assert (found.observed, found.resolution, found.debiased) == pytest.approx((0.3, 0, 0.3))
    assert len(found.bins) == 1
    assert (found.bins[0].confidence, found.bins[0].count) == (p[0], 10)


@pytest.mark.parametrize("tested", [one_class(), many_labels()], ids=["one class", "labels"])
def test_the_diagram_has_every_prediction_once(tested):
    found = calibration(tested)
    predictions = tested.labels.size * tested.repeats
    assert sum(one.count for one in found.bins) == predictions
    gap = sum(abs(one.right - one.confidence) * one.count for one in found.bins) / predictions
    assert gap <= found.observed + 1e-12  # all repeats together: gaps of single ones average out
    right = sum(one.right * one.count for one in found.bins) / predictions
    expected = tested.labels.mean() if tested.multi_label else tested.correct.mean()
    assert right == pytest.approx(expected)
