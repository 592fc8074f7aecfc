"""Programs in copies of the process of the tests are like programs in processes of their own."""

import subprocess
import sys

import pytest

from kit import copies

PROGRAM = """
import os, sys, warnings
warnings.warn("some warning")
print(__name__, sys.argv[1:], os.environ.get("SAID"), os.getcwd(), sys.stdin.read())
"""


@pytest.mark.parametrize("start", [copies.run, subprocess.run])
def test_it_has_arguments_streams_a_folder_and_an_environment(start, tmp_path):
    with (tmp_path / "given").open("w+") as given:
        given.write("given")
        given.seek(0)
        command = [sys.executable, "-c", PROGRAM, "a", b"b"]
        options = {"cwd": tmp_path, "env": {"SAID": "something"}, "stdin": given}
        done = start(command, capture_output=True, text=True, **options)
    assert done.returncode == 0
    assert done.stdout == f"__main__ ['a', 'b'] something {tmp_path} given\n"
    assert "UserWarning: some warning" in done.stderr


@pytest.mark.parametrize("start", [copies.run, subprocess.run])
@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("1 / 0", 1, "ZeroDivisionError"),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
    ],
)
def test_it_ends_as_it_would(start, program, code, said):
    done = start([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.parametrize("possible", [True, False])
def test_where_copies_cannot_differentiate_there_is_a_new_process(possible, monkeypatch):
    assert copies.copies_work() or sys.platform != "linux"
    monkeypatch.setattr(copies, "copies_work", lambda: possible)
    program = "import sys; print('torch' in sys.modules); import kit"
    done = copies.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == f"{possible}\n", done.stderr
    assert done.returncode == 0
