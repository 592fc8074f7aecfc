"""Paths that lead nowhere, and packages that are missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taylored.lab.data import DataError, Reading, load


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


def test_pipes_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.csv")
    with pytest.raises(DataError, match="is a pipe or a device"):
        load(tmp_path / "own.csv", target="kind")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,kind\n1,x\n")
    (tmp_path / "own.csv").chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "own.csv", target="kind")


def test_home_folders(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.csv").write_text("a,kind\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(20)))
    assert load("~/own.csv", target="kind").name == "own"
    with pytest.raises(DataError, match="no-such-user"):
        load("~no-such-user/own.csv", target="kind")


def test_names_with_a_nul_or_a_lone_surrogate() -> None:
    for name in ("a\0b.csv", "\ud800.csv"):
        with pytest.raises(DataError):
            load(name, target="kind")


def test_options_are_checked_and_printed() -> None:
    assert repr(Reading(drop="Id", na=["?", "-"])) == "lab.Reading(drop=('Id',), na=('?', '-'))"
    assert Reading(drop=["Id"]) == Reading(drop=("Id",))
    for wrong in ({"drop": 3}, {"decimal": ";"}, {"header": "no"}, {"group": ""}, {"na": [1]}):
        with pytest.raises(DataError, match=f"{next(iter(wrong))} must be"):
            Reading(**wrong)  # type: ignore[arg-type]
