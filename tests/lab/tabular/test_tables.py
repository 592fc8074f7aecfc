"""A comparison as data frame, Markdown, LaTeX and predictions, from a user's point of view."""

import re
from dataclasses import replace

import numpy as np
import pytest

from taylored import lab
from taylored.lab.errors import UsageError
from taylored.lab.judgement.judge import best_of
from taylored.lab.metrics import SINGLE_LABEL_METRICS
from taylored.lab.results import Difference, LossResult
from taylored.lab.tabular.frame import frame_of
from taylored.lab.tabular.markup import to_latex, to_markdown

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(150, 4))
CLASSES = (FEATURES[:, 0] > 0.5).astype(int) + (FEATURES[:, 1] > 1)
HOT = (FEATURES[:, :3] > 0.3).astype(int)
SETTINGS = {"epochs": 2, "lr": 0.03, "model": "linear", "workers": 1, "progress": "off"}
HOSTILE = 'my_loss{a|b} & <i>#$%^~\\*"'


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    out = tmp_path_factory.mktemp("tables") / "single"
    return lab.compare(["focal", "balanced_softmax"], (FEATURES, CLASSES), out=out, **SETTINGS)


@pytest.fixture(scope="module")
def multi(tmp_path_factory):
    out = tmp_path_factory.mktemp("tables") / "multi"
    return lab.compare(["sigmoid_eql"], (FEATURES, HOT), out=out, **SETTINGS)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A split that came with the data."""
    folder = tmp_path_factory.mktemp("tables")
    split = np.arange(150) % 3
    np.savez(folder / "data.npz", features=FEATURES, labels=CLASSES, split=split)
    return lab.compare(["focal"], folder / "data.npz", out=folder / "r", repeats=2, **SETTINGS)


def loss(name, metrics, difference, role="candidate"):
    found = {"balanced_accuracy": Difference(difference, -0.0123, 0.2)}
    return LossResult(
        name=name,
        role=role,
        gain=None,
        formula=None,
        learning_rate=0.01,
        trials=(),
        diverged=0,
        metrics=metrics,
        spread={},
        class_scores=(),
        versus_baseline=found,
        verdict="undecided",
    )


PRIMARY = SINGLE_LABEL_METRICS["balanced_accuracy"]
ROWS = (
    [loss(HOSTILE, {"balanced_accuracy": 0.5, "nll": None, "mcc": -0.25}, -0.01)],
    SINGLE_LABEL_METRICS,
    PRIMARY,
)


def test_a_frame_has_the_numbers_of_the_results(single):
    frame = single.to_frame()
    assert list(frame.index) == [loss.name for loss in single.results.losses]
    for found in single.results.losses:
        for key, value in found.metrics.items():
            assert frame.loc[found.name, key] == value or value is None
        if found.role == "candidate":
            cell = found.versus_baseline["balanced_accuracy"]
            assert frame.loc[found.name, "low"] == cell.low
            assert frame.loc[found.name, "verdict"] == found.verdict
    assert frame["accuracy"].dtype == float
    assert frame.loc["cross_entropy", ["difference", "low"]].isna().all()


def test_missing_numbers_are_nan_and_columns_stay_numbers():
    frame = frame_of(*ROWS)
    assert np.isnan(frame.loc[HOSTILE, "nll"])
    assert all(frame[key].dtype == float for key in ("nll", "difference_to_free"))


def test_markdown_has_one_row_per_loss_and_nothing_that_breaks_it(single):
    lines = single.to_markdown().splitlines()
    assert len(lines) == 2 + len(single.results.losses)
    assert len({line.count(" | ") for line in lines}) == 1
    hostile = to_markdown(*ROWS).splitlines()
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in hostile]
    assert len(set(cells)) == 1
    assert r"my\_loss\{a\|b\} & \<i\>" in hostile[2]
    assert "balanced | MCC" in hostile[0]  # no column for a metric that nobody has


def test_latex_uses_booktabs_and_escapes(single):
    text = single.to_latex()
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert text.count("\\\\\n") == 1 + len(single.results.losses)
    assert r"cross\_entropy" in text
    hostile = to_latex(*ROWS)
    row = hostile.splitlines()[4]
    assert row.startswith(
        r"my\_loss\{a\textbar{}b\} \& \textless{}i\textgreater{}\#\$\%\textasciicircum{}"
        r"\textasciitilde{}\textbackslash{}*\textquotedbl{} & "
    )
    assert "$-$1.0" in row
    assert "$-$0.250" in row
    columns = re.search(r"tabular}{(l.*l)}", hostile)[1]
    assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1


def test_predictions_are_those_that_the_metrics_are_made_of(single):
    frame = single.predictions()
    assert list(frame.columns[:4]) == ["row", "repeat", "fold", "label"]
    assert sorted(frame["row"]) == list(range(150))
    assert list(frame["label"]) == [str(label) for label in CLASSES]
    for found in single.results.losses:
        if found.role == "free":
            assert f"{found.name}: predicted" not in frame
            continue
        right = frame[f"{found.name}: predicted"] == frame["label"]
        assert right.mean() == pytest.approx(found.metrics["accuracy"])
        told = -np.log(frame[f"{found.name}: p"]).mean()
        assert told == pytest.approx(found.likelihood.raw_nll, rel=1e-5)


def test_predictions_of_many_labels_have_a_row_for_each(multi):
    frame = multi.predictions()
    assert len(frame) == 150 * 3
    assert (frame["truth"].to_numpy().reshape(150, 3) == HOT).all()
    for found in multi.results.losses:
        told = -np.log(frame[f"{found.name}: p"]).mean()
        assert told == pytest.approx(found.likelihood.raw_nll, rel=1e-5)
        assert set(frame[f"{found.name}: predicted"]) <= {0, 1}


def test_predictions_of_a_given_split_name_its_test_rows(given):
    frame = given.predictions()
    assert set(frame["row"]) == set(range(2, 150, 3))
    assert len(frame) == 2 * 50
    assert list(frame["label"]) == [str(CLASSES[row]) for row in frame["row"]]
    right = frame["focal: predicted"] == frame["label"]
    assert right.mean() == pytest.approx(given.results.losses[-1].metrics["accuracy"])


def test_predictions_need_the_folder(single, tmp_path):
    with pytest.raises(UsageError, match="has no run folder"):
        replace(single, folder=None).predictions()
    with pytest.raises(UsageError, match="restore it"):
        replace(single, folder=tmp_path).predictions()


def test_seconds_are_those_of_an_epoch(single):
    seconds = single.seconds()
    assert set(seconds) == {"cross_entropy", "focal", "balanced_softmax"}
    assert all(0 < value < 60 for value in seconds.values())


def test_the_best_is_the_winner_or_what_costs_nothing(single):
    verdict = single.results.verdict
    assert single.best() == best_of(verdict)
    assert best_of(replace(verdict, ranking=("a", "b"))) == "a"
    assert best_of(replace(verdict, ranking=(), free="cross_entropy + tau 1")).endswith("tau 1")
