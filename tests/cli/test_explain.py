"""`taylored explain`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from taylored.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, ("explain", *arguments), env={"COLUMNS": "160"})


def test_in_the_terminal():
    result = run("focal(gamma=2)", "asymmetric")
    assert result.exit_code == 0, result.stderr
    for said in ("Gain: the gradient relative to cross-entropy", "asymmetric, negatives",
                 "pushes hardest at", "gamma_negative = 4", "terms needed", "model's p",
                 "Proved"):  # fmt: skip
        assert said in result.stdout


def test_json_and_files(tmp_path):
    files = {kind: tmp_path / f"x.{kind}" for kind in ("png", "svg", "html")}
    options = (part for kind, file in files.items() for part in (f"--{kind}", str(file)))
    result = run("focal", "--json", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["losses"][0]["name"] == "focal"
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in files["svg"].read_text()
    assert files["html"].read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (["foc"], 2, "Did you mean 'focal'?"),
        (["giou"], 2, "takes boxes"),
        (["focal", "focal"], 2, "different names"),
        (["focal(gamma=-1)"], 2, "`gamma` must be"),
        (["focal", "--png", "/nowhere/at/all.png"], 1, "No such file"),
        (["focal", "--html", "/nowhere/at/all.html"], 1, "No such file"),
    ],
)
def test_mistakes_end_in_a_message(arguments, code, hint):
    result = run(*arguments)
    assert result.exit_code == code
    assert hint in result.stderr
    assert result.stdout == ""
