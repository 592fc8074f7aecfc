"""What building a loss says about it, and what that costs."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import taylored
from taylored import terms
from taylored.certificates.rising import surely_falls, where_it_rises


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: taylored.PolyLoss(epsilon=-1.5), r"epsilon=-1.5.*p_t in \(0.667, 1\).*-1/j"),
        (lambda: taylored.PolyLoss(epsilon=[0.5, -5.0]), r"epsilon_j >= -1/j"),
        (lambda: taylored.SeriesLoss(coefficients=[1, -1]), r"\(0, 0.5\).*no coefficient"),
        (lambda: taylored.HillLoss(limit=1.2), r"\(0, 0.2\).*limit >= 1.5"),
        (lambda: taylored.TermLoss(terms.nll - 2 * terms.power(1)), r"\(0.5, 1\)"),
        (lambda: taylored.get("class_balanced(poly(epsilon=-2))", counts=[2, 1]), "epsilon=-2"),
    ],
)
def test_a_rising_loss_warns_once(build, says) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build()
    assert len(caught) == 1
    with pytest.warns(UserWarning, match=says):
        build()


def test_an_assignment_warns_too() -> None:
    loss = taylored.PolyLoss(epsilon=1.0)
    with pytest.warns(UserWarning, match="rises"):
        loss.epsilon = -1.5


@pytest.mark.parametrize(
    "build",
    [
        lambda: taylored.PolyLoss(epsilon=-1.0, gamma=2.0),
        lambda: taylored.PolyLoss(epsilon=[-1.0, -0.5, -1 / 3]),
        lambda: taylored.PolyLoss(epsilon=[2, -0.6]),
        lambda: taylored.SeriesLoss(coefficients=[3, -1, -0.1]),
        lambda: taylored.HillLoss(limit=1.5),
        lambda: taylored.AsymmetricLoss(),
        lambda: taylored.FocalLoss(gamma=[0.0, 3.0]),
        lambda: taylored.GHMLoss(),
    ],
)
def test_others_do_not(build) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build()


def test_the_quick_test_agrees_with_the_prover() -> None:
    """What it lets pass never rises; over a grid of coefficients of both signs."""
    passed = 0
    for a in (-1.0, -0.5, 0.0, 0.4, 1.0):
        for b in (-0.9, -0.3, 0.2):
            for base in (terms.nll, terms.power(0.5) * terms.nll, terms.power(1)):
                term = base + a * terms.power(1.5) + b * terms.power(2)
                if surely_falls(term):
                    passed += 1
                    assert where_it_rises(term) is None, term
    assert passed > 10


def test_training_needs_no_prover() -> None:
    """Neither the import nor a sensible loss loads it, or mpmath."""
    script = (
        "import sys, taylored; taylored.PolyLoss(epsilon=-0.9); taylored.HillLoss();"
        "taylored.get('deferred(ldam)', counts=[2, 1]); taylored.SeriesLoss(coefficients=[2, -1]);"
        "assert 'mpmath' not in sys.modules;"
        "print([m for m in sys.modules if m.startswith('taylored.certificates.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "prover" not in done.stdout
    assert "checker" not in done.stdout
