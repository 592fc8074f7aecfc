"""What is kept of a run: whole, sealed, and only where it belongs."""

import json
import os
import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from taylored import catalog
from taylored.lab.data import Reading
from taylored.lab.errors import RunError, UsageError
from taylored.lab.run_config import RunConfig
from taylored.lab.store import files
from taylored.lab.store.folder import RunFolder, RunRecord
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.outputs import Head, outputs_of
from taylored.lab.trial.protocol import TrialSpec
from taylored.lab.trial_result import TrialResult

CONFIG = RunConfig(
    losses=("cross_entropy", "own:\u00e9t\u00e9"),
    data="da\udcffta.csv",  # the name of a file that is no valid text
    target="y",
    reading=Reading(),
    model="mlp",
    budget="quick",
    repeats=3,
    until="done",
    looks=1,
    seed=0,
    epochs=2,
    batch_size=16,
    primary_metric="accuracy",
    tune_lr="each",
    learning_rate=None,
    optimizer="AdamW",
    weight_decay=(0.01,),
)
RECORD = RunRecord(CONFIG, {"data": "abc"}, {"own:loss": {"own": "f" * 64}}, "/home/et\udce9")
SPEC = TrialSpec("cross_entropy", "baseline", 0, 3, 0.01)
RESULT = TrialResult(
    "cross_entropy",
    "baseline",
    0,
    3,
    0.01,
    "full",
    status="ok",
    metrics={"accuracy": 0.5},
    curve=({"epoch": 1.0},),
)
SCORES = torch.tensor([[1.0, -2.5], [1e-30, 3.4e38], [float("-inf"), 0.1]])
MODEL = nn.Sequential(nn.Linear(3, 2))
TRIAL = TimedTrial(
    RESULT, 1.5, None, {}, outputs_of(catalog.get("cross_entropy"), "single-label", MODEL, SCORES)
)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", RECORD)


def test_a_record_comes_back_whatever_its_names_are(folder):
    assert folder.read_record() == RECORD
    json.loads((folder.path / "config.json").read_text("utf-8"))  # valid text, valid JSON


def test_every_edit_of_the_settings_is_refused(folder):
    file = folder.path / "config.json"
    content = json.loads(file.read_text())

    def leaves(value, path=()):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, dict | list):
                yield from leaves(item, (*path, key))
            else:
                yield (*path, key)

    edits = {int: lambda v: v + 1, str: lambda v: v + "x", float: lambda v: v * 2,
             type(None): lambda _: 0.5}  # fmt: skip
    for path in leaves(content):
        edited = json.loads(json.dumps(content))
        place = edited
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = edits[type(place[path[-1]])](place[path[-1]])
        file.write_text(json.dumps(edited))
        with pytest.raises(UsageError, match="damaged or from another version"):
            folder.read_record()
    for value in ("1", True, [], {}, None):
        file.write_text(json.dumps(content | {"config": content["config"] | {"repeats": value}}))
        with pytest.raises(UsageError, match="repeats must be int"):
            folder.read_record()


def test_a_trial_counts_only_where_it_belongs_and_as_it_was_written(folder):
    folder.write_trial(TRIAL, "fingerprint")
    assert folder.read_trial(SPEC, "fingerprint") == TRIAL
    assert folder.read_trial(SPEC, "of another run") is None
    file = folder.path / "trials" / f"{SPEC.id}.json"
    text = file.read_text()
    for edited in (
        text.replace('"accuracy": 0.5', '"accuracy": 0.9'),
        text.replace('"seconds": 1.5', '"seconds": 0.5'),
        text.replace('"fold": 3', '"fold": 2'),
        text.replace(TRIAL.outputs.scores, TRIAL.outputs.scores[4:] + TRIAL.outputs.scores[:4]),
        text.replace('"log_p": null', f'"log_p": "{TRIAL.outputs.scores}"'),
        text[: len(text) // 2],
        text.replace("0.5", "NaN"),
        "\udcff",
    ):
        assert edited != text
        file.write_text(edited, errors="surrogateescape")
        assert folder.read_trial(SPEC, "fingerprint") is None
        assert folder.has_trial(SPEC)
    file.unlink()
    file.mkdir()  # cannot be read at all
    assert folder.read_trial(SPEC, "fingerprint") is None


def test_outputs_come_back_to_the_bit(folder):
    folder.write_trial(TRIAL, "fingerprint")
    found = folder.read_trial(SPEC, "fingerprint").outputs
    assert found == TRIAL.outputs
    assert found.score_array.tobytes() == TRIAL.outputs.score_array.tobytes()
    assert found.log_p_array is None  # the log-softmax of the scores says it all
    assert found.head.bias == pytest.approx(MODEL[0].bias.tolist())
    assert found.head.norm == pytest.approx(MODEL[0].weight.norm(dim=1).tolist())
    other = replace(TRIAL, outputs=replace(found, log_p=found.scores, head=Head((), ())))
    folder.write_trial(other, "fingerprint")
    assert folder.read_trial(SPEC, "fingerprint").outputs == other.outputs


def test_a_trial_is_known_by_everything_that_makes_it_another(folder):
    changes = {
        "loss": "focal",
        "role": "candidate",
        "repeat": 1,
        "fold": 2,
        "learning_rate": 0.03,
        "schedule": "third",
        "weight_decay": 0.1,
    }
    specs = [SPEC, *(replace(SPEC, **{name: value}) for name, value in changes.items())]
    assert len({spec.id for spec in specs}) == len(specs) == len(fields(TrialSpec)) + 1


def race(count, work):
    """The results of `count` threads that begin at the same moment."""
    results, barrier = [None] * count, threading.Barrier(count)

    def begin(index):
        barrier.wait()
        try:
            results[index] = work(index)
        except UsageError as error:
            results[index] = error

    threads = [threading.Thread(target=begin, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_runs_that_want_a_folder_one_gets_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attempt in range(10):
        out = Path(f"run{attempt}")
        found = race(8, lambda index, out=out: RunFolder.create(out, replace_seed(index)))
        (won,) = (index for index, each in enumerate(found) if isinstance(each, RunFolder))
        assert found[won].read_record() == replace_seed(won)
        for each in found[:won] + found[won + 1 :]:
            assert "exists already" in str(each)
    dated = race(16, lambda index: RunFolder.create(None, replace_seed(index)))
    assert len({each.path for each in dated}) == 16
    assert [each.read_record() for each in dated] == [replace_seed(index) for index in range(16)]


def replace_seed(seed):
    return replace(RECORD, config=replace(CONFIG, seed=seed))


def test_the_temporary_file_of_a_live_process_stays(folder):
    young, old = folder.path / ".young.tmp", folder.path / "trials" / ".old.tmp"
    for file in (young, old):
        file.write_text("half")
    os.utime(old, (0, 0))
    folder.remove_leftovers()
    assert young.exists()
    assert not old.exists()


def test_a_full_disk_is_a_message_and_leaves_the_file_as_it_was(folder, monkeypatch):
    folder.write_trial(TRIAL, "fingerprint")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*config\.json: No space left on device"):
        folder.write_record(RECORD)
    monkeypatch.undo()
    assert folder.read_record() == RECORD
    assert not list(folder.path.glob(".*"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("x" * 300, "File name too long"),
        ("/proc/nowhere/run", "No such file|cannot write"),
        ("file/run", "Not a directory"),
        ("nul\0", "null"),
        ("~nobody-of-this-name/run", "home"),
    ],
)
def test_paths_that_cannot_be_written_are_messages(tmp_path, monkeypatch, path, why):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(UsageError, match=why):
        RunFolder.create(Path(path), RECORD)


@pytest.mark.parametrize("path", ["x" * 300, "nowhere", "~nobody-of-this-name/run"])
def test_paths_that_cannot_be_read_are_messages(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        RunFolder.open(Path(path))


def test_a_folder_at_home_may_be_written_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    created = RunFolder.create(Path("~/run"), RECORD)
    assert created.path == tmp_path / "run"
    assert RunFolder.open(Path("~/run")).path == created.path
