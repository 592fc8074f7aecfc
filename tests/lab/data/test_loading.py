"""Paths that lead nowhere, and packages that are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from taylored.lab.data import DataError, load


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,kind\n1,x\n")
    with pytest.raises(DataError, match=r"does not exist\. Did you mean 'own.csv'"):
        load(str(tmp_path / "own.cvs"))
    with pytest.raises(DataError, match="nor does its folder"):
        load(str(tmp_path / "no" / "own.csv"), target="kind")


def test_path_that_the_system_refuses() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load("x" * 5000)


def test_name_of_a_file_here_is_suggested(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    with pytest.raises(DataError, match="Did you mean 'photographs'"):
        load("photograph")


def test_error_inside_an_optional_package_stays_visible(tmp_path: Path, monkeypatch) -> None:
    from taylored.lab.data.optional import require

    (tmp_path / "half_installed.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        require("half_installed", extra="lab", purpose="This test")


def test_import_loads_no_optional_package() -> None:
    code = (
        "import sys, taylored.lab.data\n"
        "print([m for m in ('pandas', 'PIL', 'sklearn', 'platformdirs') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
