"""`taylored doctor`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from kit.copies import copies_started_by
from taylored.cli.app import app
from taylored.doctor import apart

OWN = """
import torch

class Loss(torch.nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma

    def forward(self, logits, target):
        print("noise")
        p = torch.softmax(logits, 1).gather(1, target[:, None])
        return (-(1 - p) ** self.gamma * torch.log(p)).mean()
"""


@pytest.fixture(scope="module", autouse=True)
def workers():
    """The doctor's processes are copies; new ones are started in its own tests."""
    with copies_started_by(apart):
        yield


def run(*arguments):
    return CliRunner().invoke(app, ("doctor", *arguments), env={"COLUMNS": "120"})


def test_a_faulty_loss_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faulty.py").write_text(OWN)
    result = run("faulty.py:Loss(gamma=2)", "--check", "float32", "--sarif", "doctor.sarif")
    assert result.exit_code == 1, result.output
    for said in ("faulty.py:Loss(gamma=2): logits (N, 5), index targets (N), softmax link",
                 "error overflows", "margin: -1000", "Fix: Work with log_softmax",
                 "from faulty import Loss", "loss = Loss(gamma=2)", "asked: 1 error"):  # fmt: skip
        assert said in result.stdout
    (results,) = json.loads((tmp_path / "doctor.sarif").read_text())["runs"]
    assert [each["ruleId"] for each in results["results"]] == ["overflows"]


def test_a_sound_loss():
    result = run("focal(gamma=2)", "--check", "order", "--check", "float32", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["findings"] == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["foc"], "Did you mean 'focal'?"),
        (["giou"], "takes boxes"),
        (["focal", "--check", "spelling"], "`checks` must be one of"),
        (["focal", "--link", "probit"], "`link` must be one of"),
        (["no_such_module:Loss"], "no module named 'no_such_module'"),
    ],
)
def test_what_cannot_be_examined(arguments, hint):
    result = run(*arguments)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())
