"""A whole comparison through the Python interface: fair, reproducible, resumable."""

import ast
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taylored import lab
from taylored.lab.data import FOLDS, TEST, load
from taylored.lab.errors import UsageError
from taylored.lab.run import guard
from taylored.lab.run.problem import Problem
from taylored.lab.run.tune_learning_rate import FEWEST_ROWS
from taylored.lab.run.workers import process
from taylored.lab.store.folder import RunFolder
from taylored.lab.trial_result import LADDER

LOSSES = ["focal(gamma=2)", "class_balanced(cross_entropy, beta=0.999)"]
SETTINGS = {
    "data": "digits-lt",
    "model": "linear",
    "epochs": 3,
    "lr": 0.01,
    "workers": 1,  # every process costs seconds of importing torch
    "progress": "off",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One finished run that the tests read and copy, never change."""
    folder = tmp_path_factory.mktemp("runs") / "reference"
    settings = {name: value for name, value in SETTINGS.items() if name != "lr"}
    return lab.compare(LOSSES, out=folder, **settings)


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run.folder, tmp_path / "copy")


def bytes_of(folder):
    return (folder / "results.json").read_bytes()


def names_of(results, role):
    return [loss.name for loss in results.losses if loss.role == role]


def test_the_run_folder_is_complete(run):
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "config.json",
        "results.json",
        "results.csv",
        "rows.json",
        "timings.json",
        "versions.json",
        "report.html",
        "trials",
    }
    assert json.loads(bytes_of(run.folder)) == run.to_dict()
    assert lab.Comparison.load(run.folder) == run
    tried = run.results.learning_rate.candidates
    # Three losses on five folds; what was trained to try rates is never what is tested.
    assert len(list((run.folder / "trials").iterdir())) == 3 * FOLDS + len(tried)
    timings = json.loads((run.folder / "timings.json").read_text())
    assert len(timings["trials"]) == 3 * FOLDS + len(tried)


def test_results_hold_what_the_contract_names(run):
    results = run.results
    assert names_of(results, "baseline") == ["cross_entropy"]
    assert names_of(results, "candidate") == LOSSES
    # What cross-entropy reaches without another training, with nothing trained for it.
    free = names_of(results, "free")
    assert free[0] == "cross_entropy + tau 1"
    assert free[1].startswith("cross_entropy, tau-normalised ")
    assert results.verdict.free in ["cross_entropy", *free]
    rates = results.learning_rate.chosen
    for entry in results.losses:
        assert entry.metrics["balanced_accuracy"] > 0.3
        if entry.role == "free":
            assert entry.trials == ()
            continue
        assert [(trial.repeat, trial.fold) for trial in entry.trials] == [
            (0, fold) for fold in range(FOLDS)
        ]
        assert {trial.learning_rate for trial in entry.trials} == {rates[entry.name]}
        assert {trial.schedule for trial in entry.trials} == {"full"}
        assert entry.learning_rate == rates[entry.name]
    assert results.trainings == FOLDS
    assert results.dataset.train_counts[0] > results.dataset.train_counts[-1]
    assert len(results.dataset.groups) == 10
    assert results.losses[-1].gain.g
    # Nothing that differs between two runs: no folder, no time, no version.
    text = bytes_of(run.folder).decode()
    assert str(run.folder) not in text
    assert "seconds" not in text


def test_the_numbers_are_those_of_all_rows_tested_once(run):
    data = load("digits-lt")
    problem = Problem.draw(data, seed=0, repeats=1)
    right = np.full(len(data.labels), np.nan)
    folder = RunFolder.open(run.folder)
    kept = [kept.content for _, kept in folder._all_trials()]
    for timed in kept:
        if timed.trial.role != "baseline" or timed.trial.schedule != "full":
            assert (timed.outputs is None) == (timed.trial.schedule == "third")
            continue
        rows = problem.part(0, timed.trial.fold) == TEST
        assert np.isnan(right[rows]).all()
        predicted = timed.outputs.score_array.argmax(1)
        right[rows] = predicted == data.labels[rows]
        assert timed.trial.metrics["accuracy"] == pytest.approx(right[rows].mean(), abs=1e-12)
    baseline = run.results.losses[0]
    recall = [right[data.labels == label].mean() for label in range(10)]
    assert baseline.metrics["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
    assert baseline.metrics["balanced_accuracy"] == pytest.approx(np.mean(recall), abs=1e-12)
    assert baseline.class_scores == pytest.approx(recall, abs=1e-12)


def test_every_loss_has_the_rate_that_is_best_on_validation(run):
    rates = run.results.learning_rate
    assert rates.tuned == "each"
    # 148 validation rows are too few to choose a rate by the classes that were right.
    assert run.results.dataset.rows["validation"] < FEWEST_ROWS
    assert rates.judged_by == "nll"
    assert set(rates.chosen) == {"cross_entropy", *LOSSES}
    for loss, chosen in rates.chosen.items():
        tried = [found for found in rates.candidates if found.loss == loss]
        assert len(tried) >= 3
        assert all(found.nll is not None for found in tried)
        assert chosen == min(tried, key=lambda found: found.nll).learning_rate


def test_the_number_of_workers_does_not_change_a_byte(run, tmp_path):
    settings = {name: value for name, value in SETTINGS.items() if name != "lr"}
    again = lab.compare(LOSSES, out=tmp_path / "again", **settings | {"workers": 2})
    assert bytes_of(again.folder) == bytes_of(run.folder)


def test_resume_recomputes_what_is_missing_or_damaged(run, copied):
    trials = sorted((copied / "trials").glob("candidate-full-*.json"))
    trials[0].unlink()
    trials[1].write_text(trials[1].read_text()[:200])
    record = json.loads(trials[2].read_text())
    record["content"]["trial"]["fold"] = 4 - record["content"]["trial"]["fold"]
    trials[2].write_text(json.dumps(record))
    untouched = {path: path.stat().st_mtime_ns for path in trials[3:]}
    leftover, fresh = (copied / "trials" / name for name in (".old.tmp", ".new.tmp"))
    for file in (leftover, fresh):
        file.write_text("half")
    os.utime(leftover, (0, 0))
    for name in ("results.json", "results.csv", "report.html"):
        (copied / name).unlink()
    lab.resume(copied, workers=1, progress="off")
    assert bytes_of(copied) == bytes_of(run.folder)
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched
    assert not leftover.exists()
    assert fresh.exists(), "it may be that of a process which writes just now"


def test_resuming_a_finished_run_starts_no_worker(run, copied, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in (copied / "trials").iterdir()}

    def forbidden(*_args, **_settings):
        raise AssertionError("a process was started")

    monkeypatch.setattr(process, "_start", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    lab.resume(copied, progress="off")
    assert {path: path.stat().st_mtime_ns for path in (copied / "trials").iterdir()} == before
    assert bytes_of(copied) == bytes_of(run.folder)


@pytest.mark.parametrize("what", ["data", "torch", "processor", "executors"])
def test_resume_refuses_what_has_changed(copied, what):
    folder = RunFolder.open(copied)
    record = folder.read_record()
    folder.write_record(replace(record, guard={**record.guard, what: "something else"}))
    with pytest.raises(UsageError, match=rf"has changed since: {what} \(something else then"):
        lab.resume(copied, progress="off")


def test_resume_refuses_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UsageError, match=r"no config\.json"):
        lab.resume(tmp_path, progress="off")
    for content, why in (
        ("{", "Expecting"),
        ('{"config": {}}', "missing: guard, sources, started_in"),
        ("[1]", "must be a JSON object"),
        ("[" * 100_000, "nested too deeply"),
    ):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(UsageError, match=rf"damaged or from another version.*{why}"):
            lab.resume(tmp_path, progress="off")


PACKAGE = Path(guard.taylored.__file__).parent
NUMBERLESS = {
    "lab/errors.py",
    "lab/records.py",
    "lab/results.py",
    "lab/run_config.py",
    "lab/trial_result.py",
    "lab/wording.py",
}
"""What a training imports and takes no numbers from: messages, names, and the shapes of records."""


def imported(file):
    """The files of the package that a file imports, and those that they import."""
    found, waiting = set(), [file]
    while waiting:
        file = waiting.pop()
        if file in found or not file.is_file():
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("taylored"):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                for name in names:
                    path = PACKAGE.joinpath(*name.split(".")[1:])
                    waiting += [path.with_suffix(".py"), path / "__init__.py"]
    return found


def test_resume_watches_the_code_that_the_numbers_come_from():
    watched = set()
    for pattern in guard.NUMERIC:
        files = set(PACKAGE.glob(pattern))
        optional = pattern.endswith(".so")  # only where a compiler was found
        assert optional or files, f"{pattern} names no file"
        watched |= files
    needed = imported(PACKAGE / "lab" / "trial" / "train.py")
    assert len(needed) > 100
    missing = {str(file.relative_to(PACKAGE)) for file in needed - watched} - NUMBERLESS
    rooms = ("certificates/", "deploy/")  # proofs, and what is done after training
    assert not [name for name in missing if not name.startswith(rooms) and name != "__init__.py"]


def test_a_changed_own_loss_is_refused_and_a_diverging_one_is_recorded(tmp_path, monkeypatch):
    source = tmp_path / "own_compare_losses.py"
    source.write_text(
        "import torch\n"
        "from torch.nn import functional as F\n"
        "calls = 0\n"
        "def explodes(logits, target):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    print('noise on standard output')\n"
        "    return F.cross_entropy(logits, target) * (float('nan') if calls > 5 else 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    result = lab.compare(["own_compare_losses:explodes"], out="run", **SETTINGS)
    entry = next(e for e in result.results.losses if e.name.endswith("explodes"))
    assert [trial.status for trial in entry.trials] == ["diverged"] * FOLDS
    assert entry.metrics["accuracy"] is None
    assert entry.verdict == "diverged"
    source.write_text(source.read_text() + "# changed\n")
    with pytest.raises(UsageError, match="source of own_compare_losses:explodes"):
        lab.resume("run", progress="off")


def test_arrays_and_datasets_are_data(tmp_path):
    digits = load("digits-lt")
    pair = (digits.features[:, 0], [digits.class_names[label] for label in digits.labels])
    settings = SETTINGS | {"epochs": 1}
    names = ["cross_entropy"]
    from_set = lab.compare(names, out=tmp_path / "set", **settings | {"data": digits})
    from_pair = lab.compare(names, out=tmp_path / "pair", **settings | {"data": pair})
    assert from_pair.results.losses == from_set.results.losses
    assert from_pair.results.config.data is None
    with pytest.raises(UsageError, match=r"Give them again: taylored\.lab\.resume"):
        lab.resume(tmp_path / "pair", progress="off")
    before = bytes_of(tmp_path / "pair")
    lab.resume(tmp_path / "pair", data=pair, progress="off")
    assert bytes_of(tmp_path / "pair") == before
    changed = (np.flip(pair[0], axis=1), pair[1])
    with pytest.raises(UsageError, match="has changed since: data"):
        lab.resume(tmp_path / "pair", data=changed, progress="off")


def test_tuning_each_loss_gives_each_its_rate(tmp_path, monkeypatch):
    (tmp_path / "own_infinite_losses.py").write_text(
        "from torch.nn import functional as F\n"
        "def explodes(logits, target):\n"  # fine in the check, on 10 rows
        "    return F.cross_entropy(logits, target) * (1 if len(logits) == 10 else float('inf'))\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = {name: value for name, value in SETTINGS.items() if name != "lr"}
    result = lab.compare(
        ["focal(gamma=2)", "own_infinite_losses:explodes"],
        out=tmp_path / "each",
        **settings | {"epochs": 1},
    )
    chosen = result.results.learning_rate.chosen
    assert set(chosen) == {"cross_entropy", "focal(gamma=2)", "own_infinite_losses:explodes"}
    assert chosen["own_infinite_losses:explodes"] == chosen["cross_entropy"]
    candidates = result.results.learning_rate.candidates
    tried = [c for c in candidates if c.loss == "own_infinite_losses:explodes"]
    assert {c.validation for c in tried} == {None}
    assert {c.nll for c in tried} == {None}
    assert min(c.learning_rate for c in tried) == LADDER[0]
    for entry in result.results.losses:
        if entry.role != "free":
            assert entry.trials[0].learning_rate == chosen[entry.name]


def test_weight_decay_is_tuned_with_the_rate_and_kept(tmp_path):
    """Chosen on the first fold, used in every training and in the model, and told everywhere."""
    settings = SETTINGS | {"epochs": 1}
    decays = (0.0, 30.0)
    result = lab.compare(
        ["focal(gamma=2)"], out=tmp_path / "run", weight_decay=[*decays[::-1]], **settings
    )
    rates = result.results.learning_rate
    pairs = [(found.loss, found.weight_decay) for found in rates.candidates]
    losses = ("cross_entropy", "focal(gamma=2)")
    assert pairs == [(loss, decay) for loss in losses for decay in decays]
    assert rates.decays == dict.fromkeys(losses, 0.0)  # 30 leaves nothing of the weights
    for loss in result.results.losses:
        assert {trial.weight_decay for trial in loss.trials} <= {0.0}
    assert "the weight decay is the only one that was tuned" in result.verdict
    html = result.to_html()
    assert "--weight-decay 0,30" in html
    assert "weight_decay=(0.0, 30.0)" in html
    assert "The learning rate was given; weight decays are tuned for each loss" in html
    before = bytes_of(tmp_path / "run")
    again = lab.resume(tmp_path / "run", workers=1, progress="off")
    assert bytes_of(tmp_path / "run") == before
    again.save_model(tmp_path / "m.model", loss="focal(gamma=2)")
    assert lab.load_model(tmp_path / "m.model").card.weight_decay == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"losses": "focal(gamma=2)"}, "must be a list"),
        ({"losses": [3]}, "must be names such as"),
        ({"metric": "balanced_acuracy"}, "Did you mean balanced_accuracy"),
        ({"budget": "fast"}, "budget must be one of"),
        ({"repeats": 0}, "repeats must be an integer >= 1"),
        ({"until": "certain"}, "until must be one of done, decided"),
        ({"weight_decay": -0.1}, "weight_decay must be a finite number >= 0"),
        ({"weight_decay": []}, "weight_decay must hold at least one number"),
        ({"weight_decay": [0.1, None]}, "weight_decay must be a finite number >= 0, a list"),
        ({"tune_lr": "all"}, "tune_lr must be one of each, cross_entropy"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"epochs": True}, "epochs must be"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"target": "species"}, "target"),
        ({"data": "no-such-data"}, "no-such-data"),
        ({"data": [1, 2]}, "a pair"),
        ({"data": (np.zeros((9, 2)), np.zeros(8))}, r"labels must have shape \(9,\)"),
        ({"model": "cnn", "data": (np.eye(20), [0, 1] * 10)}, "needs images"),
    ],
)
def test_requests_that_cannot_be_run_are_refused(tmp_path, changes, message):
    settings = {**SETTINGS, "losses": ["cross_entropy"], "out": tmp_path / "run", **changes}
    with pytest.raises(ValueError, match=message):
        lab.compare(**settings)
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_not_overwritten(run):
    with pytest.raises(UsageError, match="exists already"):
        lab.compare(LOSSES, out=run.folder, **SETTINGS)
