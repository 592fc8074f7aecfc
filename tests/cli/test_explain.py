"""`taylored explain`, as a user runs it."""

import json
import subprocess
import sys

import numpy as np
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


def test_on_the_outputs_of_a_model(tmp_path):
    file, page = tmp_path / "outputs.npz", tmp_path / "x.html"
    target = np.repeat([0, 1], [30, 4])
    np.savez(file, logits=3 * np.eye(2, dtype=np.float32)[target], target=target)
    result = run("focal", "balanced_softmax", "--data", str(file), "--html", str(page))
    assert result.exit_code == 0, result.stderr
    assert "easy (p_t > 0.5): 100% of 34, with 100% of the gradient" in result.stdout
    assert "tail: 12%, with 12% of the gradient" in result.stdout
    assert "On the outputs given" in page.read_text()


@pytest.mark.parametrize("content", [b"", b"no arrays", None])
def test_outputs_that_cannot_be_read_end_in_a_message(tmp_path, content):
    file = tmp_path / "outputs.npz"
    if content is None:
        np.savez(file, features=np.zeros(3))
    else:
        file.write_bytes(content)
    result = run("focal", "--data", str(file))
    assert result.exit_code == 2
    assert "`data` outputs.npz" in result.stderr
    assert "Fix: save it by numpy.savez(path, logits=logits, target=target)" in result.stderr


def test_nothing_of_the_lab_is_loaded_for_curves():
    program = (
        "import sys; from taylored.cli.app import app;"
        "app(['explain', 'poly'], standalone_mode=False);"
        "assert not {'taylored.lab.data', 'rich.syntax'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
