"""A run grows and is shared, and is never mixed with anything that it does not belong to."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kit.turns import WHOLE_GRID
from taylored import lab
from taylored.cli.app import app
from taylored.core.engine import executors
from taylored.lab.data import FOLDS
from taylored.lab.errors import RunError, UsageError
from taylored.lab.run import execute
from taylored.lab.store.folder import RunFolder
from taylored.lab.store.lease import Leases

KILLS = Path(__file__).parents[2] / "kit" / "kills.py"
RESULTS = ("results.json", "results.csv", "report.html")
SETTINGS = {
    "data": "table.csv",
    "target": "y",
    "model": "linear",
    "epochs": 2,
    "lr": 0.01,
    "workers": 1,
    "progress": "off",
}
GO_ON = {"workers": 1, "progress": "off"}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A table, a loss, and a helper that the loss uses."""
    rows = [f"{i % 13},{i * 7 % 11},{'abc'[i % 3 if i % 5 else 0]}" for i in range(90)]
    (tmp_path / "table.csv").write_text("\n".join(["u,v,y", *rows]) + "\n")
    (tmp_path / "growing_helper.py").write_text("SCALE = 1.0\n")
    (tmp_path / "growing_lazy.py").write_text("SCALE = 1.0\n")
    (tmp_path / "growing_losses.py").write_text(
        "from torch.nn import functional as F\n"
        "from growing_helper import SCALE\n"
        "def scaled(logits, target):\n"
        "    if len(logits) == 16:\n"  # not when it is examined
        "        from growing_lazy import SCALE as lazy\n"
        "        return F.cross_entropy(logits, target) * lazy\n"
        "    return F.cross_entropy(logits, target) * SCALE\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bytes_of(folder):
    return [Path(folder, name).read_bytes() for name in RESULTS]


def test_a_run_that_grew_is_one_that_asked_for_everything_at_once():
    lab.compare(["focal(gamma=2)", "poly(epsilon=1)"], repeats=2, out="whole", **SETTINGS)
    lab.compare(["focal(gamma=2)"], out="grown", **SETTINGS)
    before = {path: path.read_bytes() for path in Path("grown/trials").iterdir()}
    Path("table.csv").rename("moved.csv")
    with pytest.raises(ValueError, match=r"table\.csv does not exist"):
        lab.resume("grown", **GO_ON)
    Path("moved.csv").rename("table.csv")
    grown = lab.resume("grown", repeats=2, add_losses=["poly(epsilon=1)"], **GO_ON)
    assert {path: path.read_bytes() for path in before} == before
    # The same numbers, which were looked at once more: the limits are stricter, and nothing else.
    whole = lab.Comparison.load("whole").results
    assert (whole.config.looks, grown.results.config.looks) == (1, 2)
    assert whole.statistics.significance == 0.05
    assert grown.results.statistics.significance == 0.0294
    for mine, other in zip(grown.results.losses, whole.losses, strict=True):
        assert mine.trials == other.trials
        assert mine.metrics == other.metrics
        for key, found in (mine.versus_baseline or {}).items():
            same = other.versus_baseline[key]
            assert (found.difference, found.low, found.p) == (same.difference, same.low, same.p)
    expected = bytes_of("grown")
    for changes, message in (
        ({"repeats": 1}, "has 2 repeats already"),
        ({"add_losses": ["focall"]}, "no loss is called"),
        ({"add_losses": "focal"}, "must be a list"),
    ):
        with pytest.raises(UsageError, match=message):
            lab.resume("grown", **GO_ON, **changes)
    # As many repeats as there are is no growth, and no other look.
    lab.resume("grown", repeats=2, **GO_ON)
    assert bytes_of("grown") == expected
    # Data that have moved are found again; data that have changed are not taken.
    Path("table.csv").rename("moved.csv")
    lab.resume("grown", data="moved.csv", **GO_ON)
    assert lab.Comparison.load("grown").results.config.data == "moved.csv"
    Path("moved.csv").write_text(Path("moved.csv").read_text().replace("5,", "6,"))
    with pytest.raises(UsageError, match="has changed since: data"):
        lab.resume("grown", **GO_ON)


def test_every_growth_is_one_more_look(project):
    lab.compare(["focal(gamma=2)"], out="run", **SETTINGS)
    levels = []
    for repeats in (1, 2, 3):
        found = lab.resume("run", repeats=repeats, **GO_ON).results
        levels.append((found.config.looks, found.statistics.repeats, found.statistics.significance))
    assert levels == [(1, 1, 0.05), (2, 2, 0.0294), (3, 3, 0.0221)]


def test_a_run_until_decided_repeats_only_what_may_be_decided(monkeypatch, capfd):
    losses = ["focal(gamma=2)", "poly(epsilon=1)"]
    settings = SETTINGS | {"until": "decided", "progress": "auto"}
    monkeypatch.setattr(execute, "decidable", lambda results: [])
    once = lab.compare(losses, out="once", **settings).results
    assert "another repeat" not in capfd.readouterr().err
    # The limit is that of two looks before it is known whether there is a second one.
    assert once.config.looks == 2
    assert once.statistics.significance == 0.0294
    assert once.statistics.repeats == 1
    monkeypatch.setattr(execute, "decidable", lambda results: ["poly(epsilon=1)"])
    twice = lab.compare(losses, out="twice", **settings).results
    said = capfd.readouterr().err
    assert "1 loss undecided after 1 repeat: another repeat for poly(epsilon=1)." in said
    assert (twice.config.looks, twice.statistics.significance) == (2, 0.0294)
    assert (twice.config.repeats, twice.statistics.repeats) == (1, 2)
    before = {loss.name: loss for loss in once.losses}
    for loss in twice.losses:
        repeated = loss.name in ("poly(epsilon=1)", "cross_entropy")
        assert loss.trials[: len(before[loss.name].trials)] == before[loss.name].trials
        places = [(trial.repeat, trial.fold) for trial in loss.trials]
        assert loss.role == "free" or places == [
            (repeat, fold) for repeat in range(1 + repeated) for fold in range(FOLDS)
        ]
        # A loss without a second repeat is compared over the one that it shares.
        same = loss.against_baseline("accuracy") if loss.role == "candidate" else None
        if same is not None:
            first = before[loss.name].against_baseline("accuracy")
            assert (same.difference == first.difference) == (not repeated)
    expected = bytes_of("twice")
    for trial in list(Path("twice/trials").iterdir())[::3]:
        trial.unlink()
    lab.resume("twice", **GO_ON)
    assert bytes_of("twice") == expected


def test_a_trial_of_another_run_is_trained_again(capfd):
    lab.compare(["focal(gamma=2)"], out="one", **SETTINGS)
    lab.compare(["focal(gamma=2)"], out="two", **SETTINGS | {"epochs": 3})
    expected = bytes_of("one")
    name = next(Path("one/trials").glob("candidate-*")).name
    foreign = Path("two/trials", name).read_bytes()
    Path("one/trials", name).write_bytes(foreign)  # same name, loss, fold and rate
    for path in RESULTS:
        Path("one", path).unlink()
    lab.resume("one", workers=1)
    assert bytes_of("one") == expected
    assert Path("one/trials", name).read_bytes() != foreign
    assert "1 of the trials in one are damaged, were edited or belong to another" in (
        capfd.readouterr().err
    )


def test_a_changed_helper_is_refused_and_one_of_a_failed_loss_is_taken(project):
    lab.compare(["growing_losses:scaled"], out="run", **SETTINGS)
    record = RunFolder.open(Path("run")).read_record()
    assert set(record.sources["growing_losses:scaled"]) == {"growing_losses", "growing_helper"}
    expected = bytes_of("run")
    (project / "growing_helper.py").write_text("SCALE = 2.0\n")
    with pytest.raises(UsageError, match=r"growing_helper, used by growing_losses:scaled \("):
        lab.resume("run", **GO_ON)
    (project / "growing_helper.py").write_text("SCALE = 1.0\n")
    # A module that only training imports is found out by the trials themselves.
    (project / "growing_lazy.py").write_text("SCALE = 2.0\n")
    lab.resume("run", **GO_ON)
    assert bytes_of("run") == expected  # nothing is trained: nothing is mixed
    with pytest.raises(RunError, match="source of growing_lazy, which growing_losses:scaled uses"):
        lab.resume("run", repeats=2, **GO_ON)


def test_a_loss_that_failed_may_be_mended(project):
    source = (project / "growing_losses.py").read_text()
    (project / "growing_losses.py").write_text(source.replace("from growing_lazy", "from nowhere"))
    failed = lab.compare(["growing_losses:scaled"], out="run", **SETTINGS)
    assert "No module named 'nowhere'" in next(iter(failed.failures.values()))
    (project / "growing_losses.py").write_text(source)
    mended = lab.resume("run", **GO_ON)
    assert mended.failures == {}
    lab.compare(["growing_losses:scaled"], out="whole", **SETTINGS)
    assert bytes_of("run") == bytes_of("whole")


def test_other_executors_and_a_run_that_is_worked_on_are_refused(monkeypatch):
    lab.compare(["focal(gamma=2)"], out="run", **SETTINGS)
    with executors.only("blocked"), pytest.raises(UsageError, match="has changed since: executors"):
        lab.resume("run", **GO_ON)
    with Leases(Path("run")) as other:
        with pytest.raises(UsageError, match=f"worked on \\({other.name}\\)"):
            lab.resume("run", **GO_ON)
        lab.join("run", **GO_ON)
    record = RunFolder.open(Path("run")).read_record()
    with pytest.raises(UsageError, match="not the folder of a run"):
        lab.join("nowhere", **GO_ON)
    assert record == RunFolder.open(Path("run")).read_record()
    assert replace(record, started_in="x") != record


def test_the_command_line_grows_and_joins():
    lab.compare(["focal(gamma=2)"], out="run", **SETTINGS)
    command = ["compare", "--workers", "1", "--json"]
    grow = [*command, "--resume", "run", "--repeats", "2", "--add-loss", "poly(epsilon=1)"]
    for arguments in (grow, [*command, "--join", "run"]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.stderr
        content = json.loads(done.stdout)
        assert content["config"]["repeats"] == 2
        assert content["config"]["losses"][-1] == "poly(epsilon=1)"


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_killed_while_it_begins_grows_and_is_shared_it_gives_the_same_bytes():
    kills = "30" if WHOLE_GRID else "1"
    done = subprocess.run(
        [sys.executable, KILLS, "--kills", kills], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kills: the same bytes" in done.stdout
