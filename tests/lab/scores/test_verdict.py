"""`lab.verdict`: the statistics of a comparison for scores of any trainer."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from taylored import lab
from taylored.lab.errors import UsageError

RANDOM = np.random.default_rng(0)
ROWS, CLASSES = 1500, 6
LABELS = RANDOM.choice(CLASSES, ROWS, p=[0.6, 0.2, 0.1, 0.05, 0.03, 0.02])
FOLDS = np.empty(ROWS, int)
FOLDS[np.argsort(LABELS, kind="stable")] = np.arange(ROWS) % 5
EVIDENCE = RANDOM.normal(size=(ROWS, CLASSES)) + 2 * np.eye(CLASSES)[LABELS]
PLAIN = EVIDENCE + np.log(np.bincount(LABELS) / ROWS)
BALANCED = EVIDENCE + 0.1 * RANDOM.normal(size=(ROWS, CLASSES))
COUNTS = [600, 200, 100, 50, 30, 20]
LOGITS = {"cross_entropy": PLAIN, "balanced_softmax": torch.tensor(BALANCED)}
PREDICTED = {"cross_entropy": PLAIN.argmax(1), "balanced_softmax": BALANCED.argmax(1)}
RIGHT = {name: predicted == LABELS for name, predicted in PREDICTED.items()}


def test_logits_are_judged_against_what_costs_nothing():
    found = lab.verdict(LOGITS, LABELS, folds=FOLDS)
    assert found.best() == "cross_entropy + tau 1"
    assert found.losses[-1].verdict == "free gain"
    assert "reaches for nothing" in found.verdict.headline
    assert not found.verdict.warnings


def test_a_loss_is_also_judged_at_the_same_price():
    better = EVIDENCE + 0.6 * np.eye(CLASSES)[LABELS]
    found = lab.verdict({"cross_entropy": PLAIN, "x": better}, LABELS, folds=FOLDS)
    matched = found.losses[-1].matched
    assert matched.versus.difference > 0.03
    assert matched.tau > 0
    assert lab.verdict(PREDICTED, LABELS, folds=FOLDS).losses[-1].matched is None


def test_predictions_cannot_show_that_and_say_so():
    found = lab.verdict(PREDICTED, LABELS, folds=FOLDS)
    assert found.losses[-1].verdict == "better"
    assert found.best() == "balanced_softmax"
    assert "cannot be seen here: give logits" in str(found)
    assert set(found.metrics) >= {"balanced_accuracy", "accuracy", "tail", "macro_f1", "mcc"}
    assert "nll" not in found.metrics


def test_the_three_forms_give_the_same_numbers():
    by_form = [lab.verdict(form, LABELS, folds=FOLDS) for form in (LOGITS, PREDICTED, RIGHT)]
    for key in ("balanced_accuracy", "accuracy", "head", "tail"):
        cells = [found.difference("balanced_softmax", key) for found in by_form]
        for cell in cells[1:]:
            assert cell.difference == pytest.approx(cells[0].difference)
            assert cell.standard_error == pytest.approx(cells[0].standard_error)


def test_they_are_those_of_a_comparison(tmp_path):
    """A run, judged once more from its own scores."""
    features = EVIDENCE[:400]
    run = lab.compare(
        ["balanced_softmax"],
        (features, LABELS[:400]),
        model="linear",
        epochs=2,
        lr=0.01,
        out=tmp_path / "run",
        workers=1,
        progress="off",
    )
    frame = run.predictions().sort_values("row")
    names = run.results.dataset.class_names
    scores = {
        loss: [names.index(name) for name in frame[f"{loss}: predicted"]]
        for loss in ("cross_entropy", "balanced_softmax")
    }
    truth = [names.index(name) for name in frame["label"]]
    found = lab.verdict(
        scores, truth, folds=frame["fold"].to_numpy(), train_counts=[9] * len(names)
    )
    for key in ("balanced_accuracy", "accuracy"):
        mine, its = (
            found.difference("balanced_softmax", key),
            run.results.losses[-1].against_baseline(key),
        )
        assert mine.difference == pytest.approx(its.difference)
        assert mine.low == pytest.approx(its.low, abs=0.01)


def test_names_of_classes_are_classes():
    names = np.array(["a", "b", "c", "d", "e", "f"])
    by_name = {loss: names[predicted] for loss, predicted in PREDICTED.items()}
    found = lab.verdict(by_name, names[LABELS], folds=FOLDS)
    same = lab.verdict(PREDICTED, LABELS.astype(float), folds=FOLDS)
    assert found.to_dict() == same.to_dict()


def test_data_frames_are_taken():
    frame = pd.DataFrame({"truth": LABELS, **PREDICTED})
    found = lab.verdict(frame[list(PREDICTED)], frame["truth"], folds=FOLDS)
    assert found.to_dict() == lab.verdict(PREDICTED, LABELS, folds=FOLDS).to_dict()


def test_numbers_are_a_paired_t_test():
    mine, other = np.array([0.71, 0.705, 0.718, 0.709]), np.array([0.741, 0.72, 0.744, 0.728])
    found = lab.verdict({"ce": mine, "x": other}, metric="accuracy")
    cell, wanted = found.difference("x"), stats.ttest_rel(other, mine)
    assert cell.p == pytest.approx(wanted.pvalue)
    low, high = wanted.confidence_interval(0.95)
    assert (cell.low, cell.high) == pytest.approx((low, high))
    assert cell.standard_error == pytest.approx((other - mine).std(ddof=1) / math.sqrt(4))
    assert "For new rows they are too narrow" in str(found)
    assert "new data" not in str(found).lower().replace("for new rows", "")


def test_numbers_of_equal_mean_are_not_identical():
    found = lab.verdict({"a": [0.5, 0.6, 0.5, 0.6], "b": [0.6, 0.5, 0.6, 0.5]}, metric="accuracy")
    assert not found.difference("b").identical
    assert found.losses[-1].verdict == "undecided"
    same = lab.verdict({"a": [0.5, 0.6], "b": [0.5, 0.6]}, metric="accuracy")
    assert same.difference("b").identical


def test_less_is_better_where_it_is():
    nll = {"a": [0.5, 0.52, 0.51, 0.5], "b": [0.4, 0.41, 0.42, 0.4]}
    for metric, better in (("nll", None), ("my_loss", "lower")):
        found = lab.verdict(nll, metric=metric, better=better)
        assert found.best() == "b"
    assert lab.verdict(nll, metric="mine", better="higher").best() == "a"


def test_holm_runs_over_the_losses():
    scores = {"a": [0.5, 0.52, 0.51], "b": [0.53, 0.54, 0.55], "c": [0.51, 0.53, 0.51]}
    found = lab.verdict(scores, metric="accuracy")
    cells = [found.difference(name) for name in ("b", "c")]
    smaller, larger = sorted(cells, key=lambda cell: cell.p)
    assert smaller.p_corrected == pytest.approx(2 * smaller.p)
    assert larger.p_corrected == pytest.approx(max(larger.p, 2 * smaller.p))


def test_one_training_has_no_interval():
    found = lab.verdict(RIGHT)
    assert found.losses[-1].verdict == "no interval"
    assert found.difference("balanced_softmax").low is None
    assert "There is one training of each loss" in str(found)


def test_several_trainings_on_one_test_set():
    def trained(logits):
        return np.stack([logits + 0.3 * RANDOM.normal(size=logits.shape) for _ in range(3)])

    scores = {"cross_entropy": trained(PLAIN), "b": trained(BALANCED)}
    found = lab.verdict(scores, LABELS, train_counts=COUNTS)
    assert (found.statistics.repeats, found.statistics.folds) == (3, 1)
    assert "one test set" in found.statistics.test
    assert found.losses[1].name == "cross_entropy + tau 1"
    without = lab.verdict(scores, LABELS)
    assert "needs train_counts=" in str(without)
    assert "tail" not in without.metrics
    assert without.losses[-1].metrics["nll"] is not None


def test_many_labels():
    truth = (RANDOM.random((300, 4)) < 0.3).astype(int)
    scores = RANDOM.normal(size=(300, 4)) + 2 * truth
    noisy = scores + RANDOM.normal(size=scores.shape)
    found = lab.verdict({"bce": scores, "x": noisy}, truth, folds=np.arange(300) % 5)
    assert found.primary.key == "mean_average_precision"
    assert found.losses[-1].verdict == "worse"
    assert lab.verdict({"bce": scores, "x": noisy}, truth).losses[-1].verdict == "no interval"


def test_the_baseline_may_be_named():
    found = lab.verdict(PREDICTED, LABELS, folds=FOLDS, baseline="balanced_softmax")
    assert found.losses[0].name == "balanced_softmax"
    assert found.losses[-1].verdict == "worse"
    assert found.difference("cross_entropy").difference < 0


def test_it_is_shown_in_every_form():
    hostile = {"a\x1b[31m": PREDICTED["cross_entropy"], "[red]b": PREDICTED["balanced_softmax"]}
    found = lab.verdict(hostile, LABELS, folds=FOLDS)
    for width in (60, 80, 120):
        table = found.table(width)
        first = table.split("\n\n")[0]
        assert max(map(len, first.splitlines())) <= width
    assert "\x1b" not in table + str(found) + found.to_markdown() + found.to_latex()
    assert "[red]b" in table
    assert list(found.to_frame().index) == list(hostile)
    assert json.loads(found.to_json())["verdict"]["headline"] == found.verdict.headline
    assert len(repr(found)) < 500


def test_more_looks_are_stricter():
    levels = [lab.verdict(RIGHT, looks=looks).statistics.significance for looks in (1, 2, 3)]
    assert levels == sorted(levels, reverse=True)


A = np.zeros(4, int)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": A},), "at least two losses"),
        (([A, A],), "must be a mapping with at least two losses.*got list"),
        (({"a": [0.5], "b": [0.6]},), "one number per loss has no error"),
        (({"a": [0.5, 0.6], "b": [0.6]},), r"paired|in pairs.*'a': 2, 'b': 1"),
        (({"a": [0.5, np.nan], "b": [0.6, 0.6]},), r"scores\['a'\] must be finite, got nan at \[1"),
        (({"a": [0.5, 0.6], "b": [0.6, 0.7]},), "metric: say what the numbers are"),
        (({"a": A, "b": A}, [0, 1, 2]), r"scores\['a'\] must be .*3 rows.*\(4,\)"),
        (({"a": A, "b": A + 0.5}, A), "one number with decimals per row.*numpy.stack"),
        (({"a": A, "b": A == 0}, A), "same kind for every loss"),
        (({"a": A, "b": np.zeros((4, 2))}, A), "same kind for every loss"),
        (({"a": np.zeros((3, 4, 2)), "b": np.zeros((4, 2))}, A), r"must be paired.*'b' has shape"),
        (({"a": np.zeros((4, 2)), "b": np.zeros((4, 2))}, A + 2), "positions in the 2 columns"),
        (({"a": np.zeros((4, 2)), "b": np.zeros((4, 2))}, list("abcd")), "4 class names for 2"),
        (({"a": np.zeros((4, 3)), "b": np.zeros((4, 3))}, np.eye(4)), "one per row and label"),
        (({"a": ["x", object()], "b": A},), "must hold numbers, booleans or class names"),
        (({1: A, "b": A},), "names of losses must be texts"),
    ],
)
def test_what_cannot_be_judged_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        lab.verdict(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": [0, 0, 1]}, r"folds must be \(1500,\)"),
        ({"folds": np.zeros(ROWS)}, "at least 2"),
        ({"train_counts": [1, 2]}, "train_counts must hold 6 whole numbers"),
        ({"baseline": "x"}, "baseline must be one of cross_entropy, balanced_softmax, got 'x'"),
        ({"metric": "nll"}, "metric must be one of .* got 'nll'. It needs logits"),
        ({"metric": "tail"}, "metric must be one of .* got 'tail'"),
        ({"metric": "acuracy"}, "metric must be one of"),
        ({"better": "lower"}, "better: the metrics of rows are known"),
        ({"looks": 0}, "looks must be an integer"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        lab.verdict(PREDICTED, LABELS, **options)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([50.0, 51.0], {"metric": "accuracy"}, "Divide percentages by 100"),
        ([0.5, 0.6], {"metric": "mine"}, "say better='higher'|Say better"),
        ([0.5, 0.6], {"metric": "nll", "better": "higher"}, "for nll lower is better"),
        ([0.5, 0.6], {"metric": "accuracy", "folds": [0, 1]}, "numbers of folds are not indep"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(scores, options, message):
    with pytest.raises(UsageError, match=message):
        lab.verdict({"a": scores, "b": scores}, **options)
