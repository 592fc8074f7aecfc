"""`taylored list` and `taylored show`, as a user runs them."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from taylored import catalog
from taylored.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})


def test_list_names_every_loss():
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:] if line[:1].isalpha()][
        : len(catalog.SPECS)
    ] == list(catalog.SPECS)


def test_list_of_an_unknown_family_says_which_there_are():
    result = run("list", "--family", "crates")
    assert result.exit_code == 2
    assert "classification" in result.stderr


@pytest.mark.parametrize("text", [text for s in catalog.SPECS.values() for text in s.examples])
def test_show_explains_every_example(text):
    result = run("show", text)
    assert result.exit_code == 0, result.stderr
    spec = catalog.spec(text)
    shown = " ".join(result.stdout.split())  # lines may break anywhere
    assert spec.summary in shown
    assert spec.reference.venue in shown
    for parameter in spec.accepted:
        assert parameter.name in result.stdout


def test_show_of_a_sum_shows_every_part():
    result = run("show", "class_balanced(focal) + 0.5 * dice(link='sigmoid')")
    assert result.exit_code == 0, result.stderr
    assert "a weighted sum of 2 losses, called on logits" in result.stdout
    assert '0.5 * dice(link="sigmoid")' in result.stdout
    for name in ("class_balanced", "dice"):
        assert catalog.spec(name).formula in result.stdout
    assert run("show", "2 * focal").stdout.startswith("2 * focal: a weighted sum of 1 loss,")


def test_show_gives_the_numbers_of_this_loss():
    shown = run("show", "poly(epsilon=2)").stdout
    assert "-log(p) + 2 * (1-p)" in shown
    assert "3*q^1 + 0.5*q^2" in shown  # the first coefficient is 1 + epsilon
    assert "0.5: 2 " in shown  # the gain of Poly-1 is 1 + epsilon p


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("foc", "Did you mean 'focal'?"),
        ("focal(gama=2)", "Did you mean 'gamma'?"),
        ("focal(gamma=-1)", "`gamma` must be"),
        ("__import__('os').system('true')", "cannot read"),
    ],
)
def test_wrong_names_end_in_a_message(text, hint):
    result = run("show", text)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert result.stdout == ""


def test_the_installed_command_runs():
    command = [sys.executable, "-m", "taylored.cli", "show", "class_balanced"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "effective number" in done.stdout
