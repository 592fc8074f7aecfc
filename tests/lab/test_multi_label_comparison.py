"""A whole comparison with many labels per sample: same fairness, its own metrics and words."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest

from taylored import lab
from taylored.lab.data import TEST, load
from taylored.lab.errors import UsageError
from taylored.lab.run.problem import Problem
from taylored.lab.store.folder import RunFolder
from taylored.lab.tasks import MULTI_LABEL

LOSSES = [
    'focal(gamma=2, link="sigmoid")',
    'class_balanced(binary_cross_entropy, beta=0.999, weighting="class")',
]
SETTINGS = {"epochs": 4, "workers": 1, "progress": "off"}


def data(folder):
    """Vectors from which rare and frequent labels can be learnt."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 10)).astype(np.float32)
    scores = features @ rng.normal(size=(10, 8)) / 3 + rng.normal(size=(500, 8)) / 3
    limits = np.quantile(scores, 1 - np.geomspace(0.4, 0.02, 8), axis=0).diagonal()
    labels = (scores > limits).astype(np.int8)
    names = np.array([f"sort {index}" for index in range(8)])
    np.savez(folder / "labels.npz", features=features, labels=labels, class_names=names)
    return folder / "labels.npz"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One finished run that the tests read and copy, never change."""
    folder = tmp_path_factory.mktemp("multilabel")
    return lab.compare(LOSSES, data(folder), out=folder / "reference", **SETTINGS)


def test_binary_cross_entropy_is_the_baseline_and_every_loss_is_tuned(run):
    results = run.results
    assert [(e.name, e.role) for e in results.losses] == [
        ("binary_cross_entropy", "baseline"),
        (LOSSES[0], "candidate"),
        (LOSSES[1], "candidate"),
    ]
    tried = {candidate.loss for candidate in results.learning_rate.candidates}
    assert tried == {"binary_cross_entropy", *LOSSES}


def test_metrics_are_those_of_many_labels(run):
    results = run.results
    assert results.primary_metric == "mean_average_precision"
    assert results.dataset.task == "multi-label"
    share = np.mean(results.dataset.train_counts) / results.dataset.rows["train"]
    for entry in results.losses:
        assert tuple(entry.metrics) == tuple(MULTI_LABEL.metrics)
        assert entry.metrics["mean_average_precision"] > 3 * share  # chance
        assert entry.metrics["mean_average_precision"] == pytest.approx(
            np.mean(entry.class_scores), abs=0.05
        )
        for trial in entry.trials:
            assert trial.metrics["mean_average_precision"] > 3 * share
            assert trial.validation("mean_average_precision") > 3 * share
    assert set(results.dataset.groups) == {"head", "medium", "tail"}
    for entry in results.losses[1:]:
        found = entry.against_baseline("mean_average_precision")
        assert found.standard_error > found.examples > 0
        assert found.standard_error > found.trainings > 0


def test_every_row_is_tested_once(run):
    problem = Problem.draw(load(run.folder.parent / "labels.npz"), seed=0, repeats=1)
    folder = RunFolder.open(run.folder)
    tested = np.zeros(500, int)
    for _, kept in folder._all_trials():
        trial, outputs = kept.content.trial, kept.content.outputs
        if trial.role == "baseline" and trial.schedule == "full":
            rows = np.flatnonzero(problem.part(0, trial.fold) == TEST)
            assert outputs.score_array.shape == (len(rows), 8)
            tested[rows] += 1
    assert (tested == 1).all()


def test_resume_gives_the_same_bytes(run, tmp_path):
    copied = shutil.copytree(run.folder, tmp_path / "copy")
    trials = sorted((copied / "trials").glob("*.json"), reverse=True)
    for trial in trials[::2]:
        trial.unlink()
    trials[1].write_text(trials[1].read_text()[:99])
    (copied / "results.json").unlink()
    lab.resume(copied, workers=1, progress="off")
    found = (copied / "results.json").read_bytes()
    assert found == (run.folder / "results.json").read_bytes()


def test_arrays_give_the_same_as_the_file(run, tmp_path):
    with np.load(data(tmp_path)) as arrays:
        pair = (arrays["features"], arrays["labels"].tolist())
    chosen = run.results.learning_rate.chosen["binary_cross_entropy"]
    again = lab.compare(["binary_cross_entropy"], pair, out=tmp_path / "run", lr=chosen, **SETTINGS)
    assert again.results.losses[0].trials == run.results.losses[0].trials


def test_words_fit_the_task(run):
    html = run.to_html()
    text = re.sub(r"<[^>]+>", " ", html.split("</style>")[1].split("<script")[0])
    table = run.table(100)
    for shown in (" ".join(part.split()) for part in (text, table, run.verdict)):
        assert "mean average precision" in shown
        for wrong in ("accurac", "balanced ", "recall", " class ", "classes"):
            assert wrong not in shown, wrong
        assert not re.search(r"(?<!binary )(?<!binary_)cross-entropy", shown)
    for wanted in ("Label by label", "binary cross-entropy", "8 labels",
                   "Average precision of each label", "largest label"):  # fmt: skip
        assert wanted in text
    assert "micro" in table
    assert " head label" in " ".join(table.split())
    assert max(map(len, table.splitlines())) <= 100


def test_the_csv_and_the_json_hold_the_metrics(run):
    rows = list(csv.DictReader(io.StringIO(run.to_csv())))
    metrics = list(MULTI_LABEL.metrics)
    assert [row["metric"] for row in rows[: len(metrics)]] == metrics
    embedded = re.search(r'id="results-json">(.*?)</script>', run.to_html(), re.DOTALL)[1]
    assert json.loads(embedded) == run.to_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "balanced_accuracy"}, "does not exist for multi-label.*mean_average_precision"),
        ({"metric": "mean_average_precison"}, "Did you mean mean_average_precision"),
        ({"metric": "mean_average_precision", "data": "digits-lt"}, "single-label.*accuracy"),
        ({"losses": ["focal(gamma=2)"]}, 'Use focal\\(gamma=2, link="sigmoid"\\)'),
        ({"model": "grid_cnn"}, "needs images"),
    ],
)
def test_requests_that_do_not_fit_are_refused(run, tmp_path, changes, message):
    settings = {"losses": LOSSES, "data": data(tmp_path), **SETTINGS, **changes}
    with pytest.raises(UsageError, match=message):
        lab.compare(**settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_metrics_can_be_primary(run, tmp_path):
    result = lab.compare(
        ["binary_cross_entropy"],
        run.folder.parent / "labels.npz",
        metric="micro_average_precision",
        out=tmp_path / "run",
        lr=0.01,
        **SETTINGS | {"epochs": 2},
    )
    curve = result.results.losses[0].trials[0].curve
    assert "validation_micro_average_precision" in curve[0]
