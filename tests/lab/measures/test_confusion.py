"""Macro F1 and Matthews correlation against scikit-learn, and their derivatives."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, matthews_corrcoef

from taylored.lab.measures.confusion import confusion, macro_f1, matthews


def drawn(classes: int, rows: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(classes))
    labels = rng.choice(classes, rows, p=share)
    labels[:classes] = np.arange(classes)
    taken = np.where(rng.random(rows) < 0.6, labels, rng.choice(classes, rows, p=share))
    return labels, taken


def theirs(name, labels, taken, weight=None):
    if name == "mcc":
        return matthews_corrcoef(labels, taken, sample_weight=weight)
    present = np.unique(labels)
    return f1_score(
        labels, taken, labels=present, average="macro", sample_weight=weight, zero_division=0
    )


METRICS = {"macro_f1": macro_f1, "mcc": matthews}


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("name", METRICS)
def test_values_are_those_of_scikit_learn(name, classes):
    labels, taken = drawn(classes, 300)
    counts = confusion(labels, taken, classes)
    np.testing.assert_array_equal(counts, confusion_matrix(labels, taken))
    assert METRICS[name](counts)[0] == pytest.approx(theirs(name, labels, taken), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("name", METRICS)
def test_slopes_are_derivatives_by_the_weight_of_a_row(name, classes):
    labels, taken = drawn(classes, 60)
    slope = METRICS[name](confusion(labels, taken, classes))[1]
    step = 1e-5
    for row in range(60):
        up, down = np.ones(60), np.ones(60)
        up[row] += step
        down[row] -= step
        change = theirs(name, labels, taken, up) - theirs(name, labels, taken, down)
        assert slope[labels[row], taken[row]] == pytest.approx(change / (2 * step), abs=1e-8)


def test_a_class_without_rows_does_not_count_in_macro_f1():
    labels, taken = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    value, _ = macro_f1(confusion(labels, taken, 4))
    assert value == pytest.approx((2 / 3 + 1) / 2)


def test_matthews_is_zero_where_all_is_taken_for_one_class():
    value, slope = matthews(confusion(np.array([0, 1, 1]), np.array([1, 1, 1]), 2))
    assert value == 0
    assert not slope.any()
