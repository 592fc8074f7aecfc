"""A whole comparison through the Python interface: fair, reproducible, resumable."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taylored import lab
from taylored.lab.data import load
from taylored.lab.errors import UsageError
from taylored.lab.run import guard
from taylored.lab.store.folder import RunFolder

LOSSES = ["focal(gamma=2)", "class_balanced(cross_entropy, beta=0.999)"]
SETTINGS = {
    "data": "digits-lt",
    "model": "linear",
    "seeds": 3,
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
    tuned = run.results.learning_rate.candidates
    # 3 losses and the control, 3 seeds; the chosen rate's tuning trial is the baseline's first.
    assert len(list((run.folder / "trials").iterdir())) == 4 * 3 + len(tuned) - 1
    timings = json.loads((run.folder / "timings.json").read_text())
    assert len(timings["trials"]) == 4 * 3 + len(tuned) - 1


def test_results_hold_what_the_contract_names(run):
    results = run.results
    assert [(e.name, e.role) for e in results.losses] == [
        ("cross_entropy", "baseline"),
        ("focal(gamma=2)", "candidate"),
        ("class_balanced(cross_entropy, beta=0.999)", "candidate"),
        ("cross_entropy", "control"),
    ]
    for entry in results.losses:
        assert [trial.seed for trial in entry.trials] == [0, 1, 2]
        assert {trial.learning_rate for trial in entry.trials} == {results.learning_rate.chosen}
        assert entry.mean["balanced_accuracy"] > 0.3
    assert results.dataset.train_counts[0] > results.dataset.train_counts[-1]
    assert len(results.dataset.groups) == 10
    assert results.losses[1].gain.g
    # Nothing that differs between two runs: no folder, no time, no version.
    text = bytes_of(run.folder).decode()
    assert str(run.folder) not in text
    assert "seconds" not in text
    control, baseline = results.losses[3], results.losses[0]
    for mine, other in zip(control.trials, baseline.trials, strict=True):
        assert mine.curve != other.curve


def test_the_rate_is_the_best_on_validation(run):
    tuning = run.results.learning_rate
    assert tuning.tuned == "cross_entropy"
    assert {candidate.loss for candidate in tuning.candidates} == {"cross_entropy"}
    best = max(tuning.candidates, key=lambda c: (c.validation, -c.learning_rate))
    assert tuning.chosen == best.learning_rate


def test_the_number_of_workers_does_not_change_a_byte(run, tmp_path):
    settings = {name: value for name, value in SETTINGS.items() if name != "lr"}
    again = lab.compare(LOSSES, out=tmp_path / "again", **settings | {"workers": 2})
    assert bytes_of(again.folder) == bytes_of(run.folder)


def test_resume_recomputes_what_is_missing_or_damaged(run, copied):
    # Candidates and controls first: a tuning trial shows in the results by one number only.
    trials = sorted((copied / "trials").glob("*.json"), reverse=True)
    trials[0].unlink()
    trials[1].write_text(trials[1].read_text()[:200])
    record = json.loads(trials[2].read_text())
    record["content"]["trial"]["seed"] = 77
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


def test_resume_watches_the_code_that_the_numbers_come_from():
    package = Path(guard.taylored.__file__).parent
    for pattern in guard.NUMERIC:
        optional = pattern.endswith(".so")  # only where a compiler was found
        assert optional or list(package.glob(pattern)), f"{pattern} names no file"


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
    assert [trial.status for trial in entry.trials] == ["diverged"] * 3
    assert entry.mean["accuracy"] is None
    source.write_text(source.read_text() + "# changed\n")
    with pytest.raises(UsageError, match="source of own_compare_losses:explodes"):
        lab.resume("run", progress="off")


def test_arrays_and_datasets_are_data(tmp_path):
    digits = load("digits-lt")
    pair = (digits.features[:, 0], [digits.class_names[label] for label in digits.labels])
    settings = SETTINGS | {"seeds": 1, "epochs": 1}
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
        **settings | {"seeds": 1, "epochs": 1, "tune_lr": "each"},
    )
    chosen = result.results.learning_rate.chosen
    assert set(chosen) == {"cross_entropy", "focal(gamma=2)", "own_infinite_losses:explodes"}
    assert chosen["own_infinite_losses:explodes"] == chosen["cross_entropy"]
    candidates = result.results.learning_rate.candidates
    tried = [c for c in candidates if c.loss == "own_infinite_losses:explodes"]
    assert {c.validation for c in tried} == {None}
    for entry in result.results.losses:
        assert entry.trials[0].learning_rate == chosen[entry.name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"losses": "focal(gamma=2)"}, "must be a list"),
        ({"losses": [3]}, "must be strings"),
        ({"metric": "balanced_acuracy"}, "Did you mean balanced_accuracy"),
        ({"budget": "fast"}, "budget must be one of"),
        ({"seeds": 0}, "seeds must be an integer >= 1"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"epochs": True}, "epochs must be"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"lr": 0.1, "tune_lr": "each"}, "give one of them"),
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
