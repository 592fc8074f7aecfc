"""Triton's kernels beside the whole expression: in its interpreter, and on a card where one is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="torch came without Triton, as on systems without GPUs")

COMPILER = Path(__file__).with_name("triton_compiler.py")
WORKER = Path(__file__).with_name("triton_worker.py")
SEEDS = 200 if os.environ.get("TAYLORED_GRID") else 25


SETTING = "TAYLORED_EXECUTORS"


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """What the worker found; one process, because Triton takes seconds to come."""
    command = [sys.executable, str(WORKER), str(SEEDS)]
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_drawn_plans_give_the_numbers_of_the_whole(report) -> None:
    assert report["differences"] == []


def test_the_losses_of_the_catalogue_do(report) -> None:
    assert report["examples"]["wrong"] == []
    assert len(report["examples"]["ran"]) > 30, report["examples"]["ran"]


def test_the_ends_are_as_they_should_be(report) -> None:
    assert report["extremes"] == []


def test_planted_faults_are_seen(report) -> None:
    assert report["unnoticed"] == []


def test_they_compile_for_a_card() -> None:
    """The interpreter takes what the compiler refuses; it needs no card."""
    command = [sys.executable, str(COMPILER), str(SEEDS // 8)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kernels"] == 3 * (SEEDS // 8)
    assert found["least"] > 1000


def test_it_has_to_be_asked_for() -> None:
    asking = "from taylored.core.engine.executors import asked; print(*asked())"
    for setting, first in ((None, "native"), ("triton,whole", "triton")):
        environment = {key: value for key, value in os.environ.items() if key != SETTING}
        environment |= {} if setting is None else {SETTING: setting}
        command = [sys.executable, "-c", f"import taylored; {asking}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.split()[0] == first
