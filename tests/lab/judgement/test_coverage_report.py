"""The coverage benchmark can fail: what it says about statistics that are right and wrong."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from taylored.lab.statistics.estimate import Estimate

FOLDER = Path(__file__).parents[3] / "benchmarks"
LOSSES = {"balanced_softmax": 0.1, "focal": 0.002, "A/A": 0.0}
KEYS = ("balanced_accuracy", "nll")


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("coverage_report", FOLDER / "coverage_report.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def drawn(data_sets: int = 120, error: float = 1.12, plain: float = 0.8, foretold: float = 1.0):
    """Normal estimates of spread 0.01 at one repeat; `error` is said to be so many times that."""
    rng = np.random.default_rng(0)

    def records(true: float, shared: float, repeats: int) -> list[dict[str, object]]:
        spread = 0.01 / np.sqrt(1 + repeats) * np.sqrt(2)
        found = []
        for _ in range(4 // repeats):
            difference = true + spread * shared
            examples, four = (error * spread) ** 2, (error * foretold * 0.01) ** 2 * 2 / 5
            noise = (examples - four) / (1 / repeats - 1 / 4) if repeats < 4 else 0.0
            estimate = Estimate(difference, examples, 60.0, noise, 1e-20, 4 * repeats, 5, repeats)
            found.append(
                {
                    "estimate": asdict(estimate),
                    "plain": 2 * plain * spread,
                    "plain_difference": difference,
                }
            )
        return found

    sets = []
    for _ in range(data_sets):
        chance = {(loss, key): rng.normal() for loss in LOSSES for key in KEYS}
        sets.append(
            {
                "truth": {loss: dict.fromkeys(KEYS, true) for loss, true in LOSSES.items()},
                "found": {
                    loss: {
                        key: {str(r): records(true, chance[loss, key], r) for r in (1, 2, 4)}
                        for key in KEYS
                    }
                    for loss, true in LOSSES.items()
                },
            }
        )
    return sets


def failed(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("- FAILED")]


def test_sound_statistics_pass(benchmark, capsys):
    assert benchmark.report(drawn()) == 0
    assert not failed(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"error": 0.7}, "coverage, R = 1"),
        ({"error": 0.7}, "A/A, R = 1"),
        ({"error": 0.7}, "two looks"),
        ({"error": 3.0}, "P(better)"),
        ({"error": 5.0}, "points of balanced_accuracy"),
        ({"foretold": 1.3}, "SE foretold"),
        ({"plain": 1.3}, "the plain t-test fails"),
    ],
)
def test_every_check_can_fail(benchmark, capsys, fault, complaint):
    assert benchmark.report(drawn(**fault)) == 1
    assert any(complaint in line for line in failed(capsys.readouterr().out))


def test_few_data_sets_are_not_judged(benchmark, capsys):
    assert benchmark.report(drawn(data_sets=20, error=0.7)) == 0
    assert "too few to judge" in capsys.readouterr().out
