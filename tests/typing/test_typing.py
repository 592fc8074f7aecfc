"""What type checkers refuse and what they let pass, line by line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(set(Path(__file__).parent.glob("*.py")) - {Path(__file__)})


def marked() -> set[tuple[str, int]]:
    """Lines that must be refused."""
    return {
        (file.name, number)
        for file in FILES
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if line.endswith("# error")
    }


def by_mypy() -> set[tuple[str, int]]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, FILES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(\S+?):(\d+): error: ", done.stdout, re.MULTILINE)
    return {(Path(file).name, int(line)) for file, line in found}


def by_basedpyright() -> set[tuple[str, int]]:
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *map(str, FILES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in found
        if each["severity"] == "error"
    }


def check(found: set[tuple[str, int]]) -> None:
    assert found == marked()


@pytest.fixture(scope="module")
def refused() -> set[tuple[str, int]]:
    return by_mypy()


def test_mypy(refused: set[tuple[str, int]]) -> None:
    check(refused)


def test_basedpyright() -> None:
    if find_spec("basedpyright") is None:
        pytest.skip("basedpyright is not installed")
    check(by_basedpyright())


def test_one_line_more_or_less_is_noticed(refused: set[tuple[str, int]]) -> None:
    for other in (set(sorted(refused)[1:]), refused | {("modules.py", 1)}):
        with pytest.raises(AssertionError):
            check(other)
