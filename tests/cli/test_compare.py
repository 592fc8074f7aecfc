"""The command line as a user runs it: real processes, real signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from kit import copies
from kit.copied_workers import copied_workers
from taylored import lab
from taylored.cli.app import app
from taylored.lab.errors import UsageError
from taylored.lab.metrics import MetricName

COMMAND = [sys.executable, "-m", "taylored.cli", "compare"]
RUN = [
    "focal(gamma=2)",
    *["--data", "digits-lt", "--model", "linear", "--epochs", "4"],
    *["--workers", "1"],  # every process costs seconds of importing torch
]


def taylored(*arguments, cwd, check=0, run=copies.run):
    done = run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == check, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def workers():
    """The workers of copies are copies; those of the reference are new processes."""
    with copied_workers():
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("cli")
    done = taylored(*RUN, "--out", "reference", cwd=folder, run=subprocess.run)
    return folder / "reference", done


def test_help_is_short_and_has_an_example(tmp_path):
    text = taylored("--help", cwd=tmp_path).stdout
    assert len(text.splitlines()) < 40
    for name in get_args(MetricName):
        short = name.removeprefix("mean_").removeprefix("micro_")
        assert re.search(rf"\b{short}\b", text), name
    assert 'taylored compare "focal(gamma=2)" --data my.csv' in text


def test_a_run_prints_the_table_the_files_and_the_python(reference):
    folder, done = reference
    assert "focal(gamma=2)" in done.stdout
    assert "balanced" in done.stdout
    assert "reference/report.html" in done.stdout
    assert "results.csv" in done.stdout
    assert "lab.compare(['focal(gamma=2)'], 'digits-lt', model='linear'" in done.stdout
    assert (folder / "report.html").is_file()
    # Not a terminal: notes only, no bar and no control characters.
    assert done.stderr.splitlines() == [
        "Read digits-lt: 741 samples, 10 classes of 174 to 20 samples (1 : 8.7)",
        "cross_entropy was added: every comparison needs it as the baseline.",
        "Run folder: reference",
    ]
    assert "\x1b" not in done.stdout + done.stderr


def test_the_printed_python_gives_the_same_results(reference, tmp_path):
    folder, done = reference
    lines = done.stdout.splitlines()
    start = lines.index("from taylored import lab")
    script = tmp_path / "script.py"  # without the guard that multiprocessing would ask for
    script.write_text("\n".join(lines[start:]) + "\n")
    copies.run([sys.executable, script], cwd=tmp_path, check=True, timeout=300)
    found = (tmp_path / "reference" / "results.json").read_bytes()
    assert found == (folder / "results.json").read_bytes()


def test_json_is_alone_on_standard_output(reference):
    folder, _ = reference
    done = taylored("--resume", "reference", "--json", cwd=folder.parent)
    assert done.stdout == (folder / "results.json").read_text()
    assert json.loads(done.stdout)["schema"] == 2


def test_killed_at_any_moment_it_resumes_to_the_same_bytes(reference, tmp_path):
    folder, _ = reference
    trials = tmp_path / "run" / "trials"
    total = len(list((folder / "trials").iterdir()))
    command = [*COMMAND, *RUN, "--workers", "2", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while len(list(trials.glob("*.json"))) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert len(list(trials.glob("*.json"))) < total, "finished too early to test anything"
    assert not (tmp_path / "run" / "results.json").exists()
    if sys.platform == "linux":
        assert workers, "no worker was running"
        wait_until_dead(workers)
    taylored("--resume", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "results.json").read_bytes() == (
        folder / "results.json"
    ).read_bytes()


def test_interrupting_leaves_a_run_that_can_be_resumed(tmp_path):
    # Minutes of training: the signal must not race with the end of the run.
    long_run = [*RUN, "--repeats", "40"]
    process = copies.Popen(
        [*COMMAND, *long_run, "--out", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while not list((tmp_path / "run" / "trials").glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "taylored compare --resume run" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ([], {"repeats": None, "until": "done", "tune_lr": "each", "weight_decay": 0.01}),
        (["--repeats", "3", "--until-decided"], {"repeats": 3, "until": "decided"}),
        (["--weight-decay", "0.2"], {"weight_decay": 0.2}),
        (["--weight-decay", "0,0.1"], {"weight_decay": [0.0, 0.1]}),
        (["--weight-decay", "tune"], {"weight_decay": "tune"}),
        (
            ["--quick", "--tune-lr", "cross_entropy"],
            {"budget": "quick", "tune_lr": "cross_entropy"},
        ),
    ],
)
def test_options_are_the_arguments_of_the_function(monkeypatch, typed, asked):
    given = {}

    def compare(**settings):
        given.update(settings)
        raise UsageError("seen")

    monkeypatch.setattr(lab, "compare", compare)
    assert "seen" in CliRunner().invoke(app, ["compare", *typed]).stderr
    assert {name: given[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["focall", "--data", "digits-lt"], "focal"),
        (["--data", "no.csv", "--target", "x"], "no.csv does not exist"),
        (["--metric", "acuracy"], "Did you mean accuracy"),
        (["--repeats", "none"], "integer"),
        (["--seeds", "3"], "o such option"),
        (["--tune-lr", "all"], "tune_lr must be one of each, cross_entropy"),
        (["--weight-decay", "-1"], "weight_decay must be a finite number >= 0"),
        (["--weight-decay", "0.1,x"], "or 'tune', got '0.1,x'"),
        (["--resume", "nowhere"], "not the folder of a run"),
        (["--resume", "nowhere", "--epochs", "2"], "leave out epochs"),
        (["--join", "nowhere", "--repeats", "2"], "leave out repeats"),
        (["--join", "nowhere", "--until-decided"], "leave out until-decided"),
        (["--resume", "nowhere", "--until-decided"], "leave out until-decided"),
        (["--add-loss", "poly(epsilon=1)"], "goes with --resume"),
        (["--time-limit", "0"], "time_limit must be a number of seconds > 0"),
    ],
)
def test_wrong_requests_end_with_2_and_the_fix(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["compare", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_request_in_a_real_process(tmp_path):
    done = taylored("no_such_module:loss", "--data", "digits-lt", cwd=tmp_path, check=2)
    assert "\ntaylored: no_such_module:loss: no module named" in done.stderr
    assert done.stdout == ""


def children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def wait_until_dead(pids):
    deadline = time.monotonic() + 60
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.05)


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
