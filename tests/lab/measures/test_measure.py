"""Every metric: its value against scikit-learn, and its pseudo-values against resampling."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from kit.tested_rows import groups_of, many_labels, one_class, only_repeat, taken
from taylored.lab import measures
from taylored.lab.measures import Measured, binary, measure, metrics_of
from taylored.lab.metrics import (
    CONFUSION_METRICS,
    MULTI_LABEL_METRICS,
    RANKING_METRICS,
    SINGLE_LABEL_METRICS,
    MetricName,
)

TASKS = {"one class": one_class, "labels": many_labels}
KEYS = {task: metrics_of(drawn()) for task, drawn in TASKS.items()}
CASES = [(task, key) for task, keys in KEYS.items() for key in keys if key != "ece"]


def measured(tested: measures.Tested, key: str) -> Measured:
    return measure(tested, groups_of(tested), [key])[key]


def restored(found: Measured) -> float:
    """The value as the weighted mean of pseudo-values that `Rows` promises."""
    rows = found.rows
    mean = rows.pseudo.mean(axis=0)
    each = [
        weight * mean[rows.strata == stratum].mean()
        for stratum, weight in enumerate(rows.weights)
        if weight
    ]
    return math.fsum(each)


def test_every_metric_has_a_name_and_every_name_a_metric():
    assert set(KEYS["one class"]) == {*SINGLE_LABEL_METRICS, *CONFUSION_METRICS, *RANKING_METRICS}
    assert set(KEYS["labels"]) == {*MULTI_LABEL_METRICS, "auroc"}
    assert set(get_args(MetricName)) == set().union(*KEYS.values()) - {"ece"}


@pytest.mark.parametrize(("task", "key"), CASES)
def test_values_are_weighted_means_of_pseudo_values(task, key):
    found = measured(TASKS[task](), key)
    assert found.rows.weights.sum() == pytest.approx(1)
    assert restored(found) == pytest.approx(found.value, abs=1e-12)


@pytest.mark.parametrize(("task", "key"), CASES)
def test_repeats_count_alike(task, key):
    tested = TASKS[task](repeats=3)
    alone = [measured(only_repeat(tested, repeat), key) for repeat in range(3)]
    found = measured(tested, key)
    assert found.value == pytest.approx(np.mean([one.value for one in alone]), abs=1e-12)
    for repeat, one in enumerate(alone):
        np.testing.assert_allclose(found.by_fold[repeat], one.by_fold[0], atol=1e-12)
        np.testing.assert_allclose(found.rows.pseudo[repeat], one.rows.pseudo[0], atol=1e-12)


def inside(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Deviations from the mean of the stratum."""
    sums = np.bincount(strata, weights=values) / np.maximum(np.bincount(strata), 1)
    return values - sums[strata]


@pytest.mark.parametrize(("task", "key"), CASES)
def test_pseudo_values_tell_what_a_row_changes(task, key):
    """Leaving a row out changes the metric by its pseudo-value, up to terms of second order."""
    tested = TASKS[task](rows=600, repeats=1, folds=2)
    rows = np.arange(tested.rows)
    found = measured(tested, key)
    left_out = np.array([measured(taken(tested, rows[rows != i]), key).value for i in rows[::3]])
    strata = found.rows.strata
    weight = (found.rows.weights / np.bincount(strata))[strata]
    promised = inside((weight * found.rows.pseudo[0])[::3], strata[::3])
    changes = inside(found.value - left_out, strata[::3])
    slope = changes @ promised / (promised @ promised)
    assert np.corrcoef(changes, promised)[0, 1] > 0.98
    assert slope == pytest.approx(1, abs=0.1)


def variance_of(found: Measured) -> float:
    rows = found.rows
    mean = rows.pseudo.mean(axis=0)
    return sum(
        weight**2 * mean[rows.strata == stratum].var(ddof=1) / np.sum(rows.strata == stratum)
        for stratum, weight in enumerate(rows.weights)
        if weight
    )


@functools.cache
def drawn_again(task: str) -> dict[str, list[float]]:
    """Values of each metric, of rows that are drawn again inside their stratum and fold."""
    tested = TASKS[task](rows=1000, repeats=1, seed=4)
    keys = [key for of, key in CASES if of == task]
    cells = measured(tested, keys[0]).rows.strata * 5 + tested.folds[0]
    members = [np.flatnonzero(cells == cell) for cell in np.unique(cells)]
    rng = np.random.default_rng(8)
    values: dict[str, list[float]] = {key: [] for key in keys}
    for _ in range(400):
        rows = np.concatenate([rng.choice(part, len(part)) for part in members])
        again = taken(tested, rows)
        for key, found in measure(again, groups_of(again), keys).items():
            values[key].append(found.value)
    return values


@pytest.mark.parametrize(("task", "key"), CASES)
def test_pseudo_values_vary_as_the_bootstrap_does(task, key):
    """Rows are drawn again inside their class and fold (with many labels: inside their fold)."""
    found = measured(TASKS[task](rows=1000, repeats=1, seed=4), key)
    drawn = drawn_again(task)[key]
    # 400 draws know a standard deviation to 3.5 %; rows that are drawn twice are ties in a ranking.
    assert np.std(drawn) == pytest.approx(math.sqrt(variance_of(found)), rel=0.14)


@pytest.mark.parametrize(
    "key", [key for key in KEYS["one class"] if key not in ("accuracy", "nll", "ece")]
)
def test_a_fold_has_the_value_of_its_rows_alone(key):
    tested = one_class()
    found = measured(tested, key)
    for fold in range(5):
        rows = np.flatnonzero(tested.folds[0] == fold)
        part = replace(taken(only_repeat(tested, 0), rows), folds=np.zeros((1, len(rows)), int))
        alone = measure(part, groups_of(tested), [key])[key]
        assert found.by_fold[0, fold] == pytest.approx(alone.value, abs=1e-12)


def test_one_class_agrees_with_scikit_learn():
    tested = one_class(repeats=1)
    y, taken_for = tested.labels, tested.predicted[0]
    groups = groups_of(tested)
    recall = sk.recall_score(y, taken_for, average=None)
    expected = {
        "accuracy": sk.accuracy_score(y, taken_for),
        "balanced_accuracy": sk.balanced_accuracy_score(y, taken_for),
        "macro_f1": sk.f1_score(y, taken_for, average="macro"),
        "mcc": sk.matthews_corrcoef(y, taken_for),
        "nll": sk.log_loss(y, torch.softmax(tested.scores[0].double(), 1).numpy()),
    }
    for name in ("head", "medium", "tail"):
        expected[name] = recall[[group == name for group in groups]].mean()
    for name, value in measure(tested, groups, expected).items():
        assert value.value == pytest.approx(expected[name], abs=1e-7), name


@pytest.mark.parametrize(
    ("key", "theirs"), [("auroc", sk.roc_auc_score), ("average_precision", None)]
)
def test_rankings_are_means_over_folds_of_one_class_against_the_rest(key, theirs):
    tested = one_class(repeats=1)
    p = torch.softmax(tested.scores[0].double(), 1).numpy()
    each = []
    for fold in range(5):
        inside = tested.folds[0] == fold
        y, s = tested.labels[inside], p[inside]
        if theirs:
            each.append(theirs(y, s, multi_class="ovr"))
        else:
            per_class = [sk.average_precision_score(y == c, s[:, c]) for c in range(5)]
            each.append(np.mean(per_class))
    found = measured(tested, key)
    assert found.value == pytest.approx(np.mean(each), abs=1e-12)
    assert found.by_fold[0].tolist() == pytest.approx(each, abs=1e-12)


@pytest.mark.parametrize("rare", [0, 1])
def test_of_two_classes_the_rarer_is_ranked(rare):
    tested = one_class(repeats=1, folds=1, shares=(0.2, 0.8) if rare == 0 else (0.8, 0.2))
    y, s = tested.labels == rare, torch.softmax(tested.scores[0].double(), 1)[:, rare].numpy()
    groups = ("head", "tail") if rare else ("tail", "head")
    found = measure(tested, groups, ["auroc", "average_precision", "head", "tail"])
    assert found["auroc"].value == pytest.approx(sk.roc_auc_score(y, s))
    assert found["average_precision"].value == pytest.approx(sk.average_precision_score(y, s))
    assert (found["head"].value, found["tail"].value) == (None, None)
    two = binary(tested)
    taken_for = tested.predicted[0] == rare
    assert two.positive == rare
    assert two.precision == pytest.approx(sk.precision_score(y, taken_for))
    assert two.recall == pytest.approx(sk.recall_score(y, taken_for))
    assert two.f1 == pytest.approx(sk.f1_score(y, taken_for))
    expected = sk.confusion_matrix(tested.labels, tested.predicted[0])
    np.testing.assert_array_equal(two.confusion, expected)


def test_labels_agree_with_scikit_learn():
    tested = many_labels(repeats=1, folds=1)
    y, s = tested.labels, tested.scores[0].double().numpy()
    each = np.array([sk.average_precision_score(y[:, c], s[:, c]) for c in range(y.shape[1])])
    groups = groups_of(tested)
    expected = {
        "mean_average_precision": each.mean(),
        "micro_average_precision": sk.average_precision_score(y, s, average="micro"),
        "auroc": sk.roc_auc_score(y, s, average="macro"),
        "nll": np.mean(np.logaddexp(0, np.where(y == 1, -s, s))),
    }
    for name in ("head", "medium", "tail"):
        expected[name] = each[[group == name for group in groups]].mean()
    for name, value in measure(tested, groups, expected).items():
        assert value.value == pytest.approx(expected[name], abs=1e-12), name


def test_given_log_probabilities_are_those_of_the_likelihood_alone():
    tested = one_class()
    other = one_class(seed=9)
    given = replace(tested, log_p=torch.log_softmax(other.scores.double(), 2))
    assert measured(given, "nll").value == pytest.approx(measured(given, "nll").value)
    for key in ("accuracy", "auroc", "mcc"):
        assert measured(given, key).value == measured(tested, key).value
    likelihood = -given.log_p[:, np.arange(tested.rows), tested.labels]
    assert measured(given, "nll").value == pytest.approx(float(likelihood.mean()))


def test_log_probabilities_of_labels_have_digits_at_both_ends():
    scores = torch.tensor([[[40.0, -40.0], [-40.0, 40.0]]])
    labels = np.array([[1, 0], [1, 0]], dtype=np.int8)
    plain = measures.Tested(scores, labels, np.zeros((1, 2), int))
    given = replace(plain, log_p=torch.nn.functional.logsigmoid(scores.double()))
    found = measured(given, "nll").rows.pseudo[0]
    assert found[0] == pytest.approx(math.exp(-40), rel=1e-9)
    assert found[1] == pytest.approx(40, rel=1e-9)
    np.testing.assert_allclose(found, measured(plain, "nll").rows.pseudo[0], rtol=1e-9)


@pytest.mark.parametrize("key", ["auroc", "average_precision"])
def test_the_scores_of_different_models_are_never_compared(key):
    """The model of each fold has priors of its own, which a metric of the order must not see."""
    tested = one_class(rows=400, repeats=1, shares=(0.9, 0.1))
    before = measured(tested, key).value
    shift = torch.tensor([0.0, 3.0])[None, :] * torch.from_numpy(tested.folds[0])[:, None]
    shifted = replace(tested, scores=tested.scores + shift)
    assert measured(shifted, key).value == pytest.approx(before, abs=1e-6)
    # The check can fail: all rows as one list do see them.
    pooled = replace(shifted, folds=np.zeros_like(shifted.folds))
    assert measured(pooled, key).value < before - 0.02


@pytest.mark.parametrize(("task", "key"), CASES)
def test_a_group_without_classes_has_no_metric(task, key):
    tested = TASKS[task]()
    found = measure(tested, ("head",) * tested.classes, [key])[key]
    if key in ("medium", "tail"):
        assert found.value is None
        assert found.rows is None
        assert np.isnan(found.by_fold).all()
    else:
        assert found.value is not None


def test_a_class_that_is_missing_in_a_fold_counts_where_it_is():
    tested = one_class(repeats=1, shares=(0.5, 0.49, 0.01), rows=200)  # 2 rows of the last class
    assert tested.class_counts[2] == 2
    found = measured(tested, "auroc")
    margins = torch.softmax(tested.scores[0].double(), 1).numpy()
    of_class = []
    for label in range(3):
        y = tested.labels == label
        parts = [tested.folds[0] == fold for fold in range(5)]
        each = [sk.roc_auc_score(y[i], margins[i, label]) for i in parts if y[i].any()]
        of_class.append(np.mean(each))
    assert found.value == pytest.approx(np.mean(of_class), abs=1e-12)
    assert restored(found) == pytest.approx(found.value, abs=1e-12)


def test_errors_say_what_was_expected():
    tested = one_class()
    with pytest.raises(ValueError, match="wanted must be of balanced_accuracy, .* got 'mAP'"):
        measure(tested, groups_of(tested), ["mAP"])
    with pytest.raises(ValueError, match="groups must name .* 5 classes, got 3"):
        measure(tested, ("head",) * 3, ["accuracy"])
    with pytest.raises(ValueError, match="two classes"):
        binary(tested)
    with pytest.raises(ValueError, match=r"folds must be \(2, 240\)"):
        replace(tested, folds=tested.folds[:1])
    with pytest.raises(ValueError, match=r"labels must be \(240,\)"):
        replace(tested, labels=tested.labels[:5])
    with pytest.raises(ValueError, match="log_p must have the shape"):
        replace(tested, log_p=torch.zeros(1, 2, 3))
