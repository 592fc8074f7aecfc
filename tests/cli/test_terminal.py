"""No stream, terminal, name or signal makes a command end in a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit import copies
from kit.copied_workers import copied_workers
from taylored.cli import terminal

MODULE = Path(terminal.__file__)
COMMAND = [sys.executable, "-m", "taylored.cli"]
RUN = ["cross_entropy", "--data", "tiny.csv", "--target", "y", "--model", "linear",
       "--epochs", "2", "--lr", "0.01", "--workers", "1"]  # fmt: skip
NAME = b"[red]\x1b[31m\xff"
"""A folder that is markup, steers the terminal and is no valid text."""


def alone(code, **options):
    """Run code with the module in a process that does not import torch."""
    load = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('terminal', {str(MODULE)!r})\n"
        "terminal = importlib.util.module_from_spec(spec); spec.loader.exec_module(terminal)\n"
        "terminal.prepare(); terminal.end_on_signals()\n"
    )
    return subprocess.Popen([sys.executable, "-c", load + code], **options)


def test_closed_streams_are_never_a_file_that_is_opened_later(tmp_path):
    code = (
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "assert file.fileno() > 2\n"
        "print('out'); sys.stderr.write('err'); file.write('mine'); file.close()\n"
        "sys.exit(terminal.run(lambda: 0))"
    )
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        process = alone(code)  # to see the code run at all
        assert process.wait() == 0
        script = tmp_path / "script.py"
        script.write_text(process.args[2])
        done = subprocess.run(["sh", "-c", f"{sys.executable} {script} {closed}"])
        assert done.returncode == 0
        assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("stream", "code"), [("/dev/full", 1), ("/dev/null", 0)])
def test_output_that_cannot_be_written_is_a_message(stream, code):
    with open(stream, "w") as out:  # noqa: PTH123
        process = alone(
            "sys.exit(terminal.run(lambda: print('text')))", stdout=out, stderr=subprocess.PIPE
        )
        _, errors = process.communicate()
    assert process.returncode == code
    assert errors.decode() == (
        "taylored: cannot write to standard output: No space left on device.\n" if code else ""
    )


def test_a_reader_that_has_left_is_no_error_to_talk_about():
    code = "sys.exit(terminal.run(lambda: [print('x' * 1000) for _ in range(1000)]))"
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -c 1', sys.executable, alone("").args[2] + code],
        capture_output=True,
    )
    assert done.stderr == b""


def test_characters_that_a_stream_lacks_are_written_as_escapes():
    process = alone(
        "print('\\u00b1 \\udcff'); sys.exit(terminal.run(lambda: 0))",
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert process.communicate()[0] == b"\\xb1 \\udcff\n"


@pytest.mark.parametrize("columns", ["0", "3", "99999999999"])
def test_a_width_that_nobody_can_read_is_ignored(columns):
    process = alone(
        "import os; print(os.environ.get('COLUMNS')); terminal.sys.stdout.flush()",
        stdout=subprocess.PIPE,
        env={**os.environ, "COLUMNS": columns},
    )
    assert process.communicate()[0] == b"None\n"


WAITING = """
import time
def command():
    try:
        print('ready', flush=True)
        time.sleep(60)
    finally:
        print('cleaning', flush=True)
        time.sleep(60 if slow else 0)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_end_a_command_cleanly_and_a_second_one_at_once(name):
    for slow in (0, 1):
        process = alone(
            f"slow = {slow}\n{WAITING}\nsys.exit(terminal.run(command))",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
        )
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, name))
        assert process.stdout.readline() == b"cleaning\n"
        if slow:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 1
        assert errors == (b"" if slow else b"taylored: stopped.\n")


def test_what_nohup_ignores_stays_ignored():
    process = alone(
        "import os, signal; os.kill(os.getpid(), signal.SIGHUP); print('alive')",
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.communicate()[0] == b"alive\n"


@pytest.fixture(scope="module")
def workers():
    """The workers of copies are copies."""
    with copied_workers():
        yield


@pytest.fixture(scope="module")
def tiny(workers, tmp_path_factory):
    """A finished run in a folder with a terrible name."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path_factory.mktemp("terminal")) + b"/" + NAME))
    folder.mkdir()
    rows = [f"{i},{(i * 7) % 11},{'ab'[i % 2]}\x1b" for i in range(40)]
    (folder / "tiny.csv").write_text("\n".join(["u,v,y", *rows]) + "\n")
    done = copies.run(
        [*COMMAND, "compare", *RUN, "--out", folder / "run"], cwd=folder, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return folder, done


def no_traceback(done):
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert b"\x1b" not in done.stdout + done.stderr
    return done


def test_names_and_folders_are_printed_harmless(tiny):
    folder, done = tiny
    no_traceback(done)
    assert rb"[red]\x1b[31m\udcff/run/report.html" in done.stdout
    again = subprocess.run(
        [*COMMAND, "compare", "--resume", folder / "run", "--workers", "1"],
        cwd=folder,
        capture_output=True,
        env={**os.environ, "COLUMNS": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )
    assert no_traceback(again).returncode == 0
    again.stdout.decode("ascii")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--resume", b"x" * 300], 2, b"cannot be used: File name too long"),
        (["--repeats", b"\x1b[31m"], 2, b"valid integer"),
        ([b"--\x1b[31m"], 2, b"o such option"),
        ([b"nothing\x1b[31m\xff"], 2, b"nothing"),
        (["--data", b"no\x1b[31m\xff.csv", "--target", "y"], 2, b"does not exist"),
        (["--resume", "run", "--time-limit", "-1"], 2, b"time_limit"),
    ],
)
def test_wrong_requests_cannot_steer_the_terminal(tiny, arguments, code, said):
    done = copies.run([*COMMAND, "compare", *arguments], cwd=tiny[0], capture_output=True)
    assert no_traceback(done).returncode == code
    assert said in done.stderr


def test_a_full_or_closed_terminal_does_not_stop_a_run(tiny):
    folder, _ = tiny
    command = [*COMMAND, "compare", *RUN]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = copies.run([*command, "--out", "full"], cwd=folder, stdout=full, stderr=full)
    assert done.returncode == 1
    closed = subprocess.run(["sh", "-c", '"$@" --out closed 2>&- >&-', "sh", *command], cwd=folder)
    assert closed.returncode == 0
    expected = (folder / "run" / "results.json").read_bytes()
    for name in ("full", "closed"):
        assert (folder / name / "results.json").read_bytes() == expected


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_ended_says_how_to_go_on(tiny, name):
    folder, _ = tiny
    process = copies.Popen(
        [*COMMAND, "compare", *RUN, "--repeats", "100", "--out", name],
        cwd=folder,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list((folder / name / "trials").glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Traceback" not in errors
    assert f"taylored compare --resume {name}\n".encode() in errors
    assert not (folder / name / "leases").exists()
