"""`taylored certify`, as a user runs it."""

import json

import pytest
from typer.testing import CliRunner

from taylored.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})


def test_a_loss():
    result = run("certify", "poly(epsilon=-0.9)")
    assert result.exit_code == 0, result.stderr
    lines = {line[2:46].strip(): line[46:].split() for line in result.stdout.splitlines()[2:]}
    assert lines["falls strictly with p"][0] == "yes"
    assert lines["strictly proper"][0] == "no"
    assert lines["largest gain"][:2] == ["finite", "1"]
    assert "independent checker" in result.stdout


def test_a_loss_that_needs_counts_is_certified_without():
    assert run("certify", "ldam(scale=1)").exit_code == 0


def test_json_round_trip(tmp_path):
    result = run("certify", "power(2)", "--link", "sigmoid", "--json")
    assert result.exit_code == 0
    file = tmp_path / "proof.json"
    file.write_text(result.stdout)
    again = run("certify", "--check", str(file))
    assert again.exit_code == 0
    assert "power(2), sigmoid link" in again.stdout

    certificate = json.loads(result.stdout)
    certificate["terms"][0]["term"] = certificate["terms"][0]["opposite"] = "power(3)"
    file.write_text(json.dumps(certificate))
    wrong = run("certify", "--check", str(file))
    assert wrong.exit_code == 1
    assert "not confirmed" in wrong.stderr
    assert wrong.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "give a loss"),
        (["foc"], "Did you mean 'focal'?"),
        (["ghm"], "function of p_t alone"),
        (["focal(gamma=2)", "--link", "sigmoid"], 'link="sigmoid"'),
        (["nll", "--link", "probit"], "`link` must be"),
        (["nll", "--check", "proof.json"], "give a loss, or --check"),
        (["--check", "nowhere.json"], "cannot read a certificate"),
    ],
)
def test_mistakes_end_in_a_message(arguments, hint):
    result = run("certify", *arguments)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("focal", "yes: never rises with p, falls strictly with p, order preserving"),
        ("asymmetric", "negatives: "),
        ("balanced_softmax", "strictly proper"),
        ("class_balanced(focal)", "largest gain 1.225"),
    ],
)
def test_show_says_it_in_short(loss, said):
    result = run("show", loss)
    assert result.exit_code == 0
    assert said in " ".join(result.stdout.split())


def test_show_of_a_loss_without_certificate():
    result = run("show", "ghm")
    assert result.exit_code == 0
    assert "Proved" not in result.stdout
