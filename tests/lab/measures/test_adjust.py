"""Post-hoc adjustment, tau-normalisation and the tau curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kit.tested_rows import groups_of, one_class
from taylored.lab.measures import measure
from taylored.lab.measures.adjust import TAUS, adjusted, by_row, tau_curve, tau_normalised

KEYS = ["balanced_accuracy", "accuracy", "head", "medium", "tail"]


def log_priors(tested) -> torch.Tensor:
    """The share of each class in the rows of the other folds, (R, K, C)."""
    found = [
        [
            np.bincount(tested.labels[tested.folds[r] != k], minlength=tested.classes)
            for k in range(tested.fold_count)
        ]
        for r in range(tested.repeats)
    ]
    counts = torch.tensor(np.array(found), dtype=torch.float64)
    return (counts / counts.sum(2, keepdim=True)).log()


def test_rows_get_what_belongs_to_their_fold():
    per_fold = torch.arange(12.0).reshape(2, 3, 2)
    folds = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
    found = by_row(per_fold, folds)
    assert found[0].tolist() == [[0, 1], [4, 5], [2, 3], [2, 3]]
    assert found[1].tolist() == [[10, 11], [10, 11], [6, 7], [8, 9]]


def test_adjusted_and_normalised_by_hand():
    scores = torch.tensor([[[1.0, 2.0]]])
    prior = torch.tensor([0.75, 0.25])
    found = adjusted(scores, prior.log(), 2.0)
    assert found[0, 0].tolist() == pytest.approx([1 - 2 * np.log(0.75), 2 + 2 * np.log(4)])
    norm, bias = torch.tensor([4.0, 0.25]), torch.tensor([0.5, -0.5])
    assert tau_normalised(scores, norm, bias, 0.5)[0, 0].tolist() == [0.25, 5.0]
    assert tau_normalised(scores, norm, bias, 0.0)[0, 0].tolist() == [0.5, 2.5]


def test_a_class_without_training_rows_is_left_as_it_is():
    scores = torch.tensor([[[1.0, 2.0]]])
    for tau in (-1.0, 0.0, 1.5):
        found = adjusted(scores, torch.tensor([0.0, -torch.inf]), tau)
        assert found.tolist() == scores.tolist()


def test_the_curve_has_the_accuracies_of_adjusted_scores():
    tested = one_class(rows=400)
    priors = log_priors(tested)
    curve = tau_curve(tested, groups_of(tested), priors)
    assert [point.tau for point in curve] == list(TAUS)
    assert (TAUS[0], TAUS[-1], len(TAUS)) == (-1, 2, 31)
    for point in curve[::5]:
        rows = by_row(priors, tested.folds)
        moved = replace(tested, scores=adjusted(tested.scores, rows, point.tau).float())
        expected = measure(moved, groups_of(tested), KEYS)
        assert point.values == pytest.approx({k: expected[k].value for k in KEYS}, abs=1e-12)
    tail = [point.values["tail"] for point in curve]
    assert tail[0] < tail[10] < tail[20]
    overall = {point.tau: point.values["accuracy"] for point in curve}
    assert overall[-1.0] < max(overall.values())


def test_the_curve_of_two_classes_has_no_groups():
    tested = one_class(shares=(0.9, 0.1))
    point = tau_curve(tested, ("head", "tail"), log_priors(tested), taus=(1.0,))[0]
    assert [point.values[group] for group in ("head", "medium", "tail")] == [None] * 3
    assert point.values["balanced_accuracy"] is not None
