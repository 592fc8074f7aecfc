"""Saved, killed, loaded and continued, in real processes: the numbers of never having stopped."""

from __future__ import annotations

import runpy
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from kit import copies
from kit.traits import STATEFUL
from references import Call

WORKER = Path(__file__).with_name("worker_resume.py")
known = runpy.run_path(str(WORKER))
LOSSES, STEPS, SAVE_AT = known["LOSSES"], known["STEPS"], known["SAVE_AT"]


def command(folder: Path, mode: str) -> list[str]:
    return [sys.executable, str(WORKER), str(folder), mode]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """How the uninterrupted and the resumed training ended."""
    folder = tmp_path_factory.mktemp("resume")
    with copies.Popen(command(folder, "until-killed")) as process:
        try:
            deadline = time.monotonic() + 120
            while not (folder / "checkpoint.pt").exists():
                assert process.poll() is None, "ended before it was killed"
                assert time.monotonic() < deadline, "no checkpoint"
                time.sleep(0.02)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    modes = ("resume", "straight")
    # All are copies of one process: what one has learned reaches another through the file alone.
    for mode in modes:
        copies.run(command(folder, mode), check=True, timeout=120)
    known["main"](folder, "forgetful")
    return {mode: torch.load(folder / f"{mode}.pt") for mode in (*modes, "forgetful")}


def test_the_interruption_was_in_the_middle(ends: dict[str, dict]) -> None:
    assert 0 < SAVE_AT < STEPS
    assert ends["straight"]["steps"] == STEPS
    assert ends["resume"]["steps"] == STEPS - SAVE_AT
    assert {Call.of(text).name for text in LOSSES} == STATEFUL


def check_same(text: str, expected: dict, found: dict) -> None:
    assert found["values"][text] == expected["values"][text]
    for part in ("model", "loss"):
        wanted, got = expected["parts"][text][part], found["parts"][text][part]
        assert wanted.keys() == got.keys()
        for name, tensor in wanted.items():
            assert torch.equal(got[name], tensor), name


@pytest.mark.parametrize("text", LOSSES)
def test_the_same_numbers(ends: dict[str, dict], text: str) -> None:
    check_same(text, ends["straight"], ends["resume"])
    assert ends["straight"]["parts"][text]["loss"]["indicator.steps"] == STEPS


@pytest.mark.parametrize("text", LOSSES)
def test_a_forgotten_state_is_noticed(ends: dict[str, dict], text: str) -> None:
    with pytest.raises(AssertionError):
        check_same(text, ends["straight"], ends["forgetful"])
