"""Threads, forks and groups of processes, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from kit.native import needs_native
from kit.ranks import copied

WORKER = Path(__file__).with_name("worker_process.py")

pytestmark = needs_native

ON_LINUX = ("one_thread", "the_threads_of_torch", "more_threads_do_more", "fork",
            "data_loader_workers")  # fmt: skip
NAMES = (*(ON_LINUX if sys.platform == "linux" else ()), "threads_side_by_side")
"""In this order: what counts threads, in /proc, comes before what starts some."""


def done(folder: Path, *names: str, **environment: str) -> dict[str, str]:
    """What went wrong with each of them in one new process, which has torch's threads alone."""
    run = subprocess.run(
        [sys.executable, str(WORKER), str(folder), *names],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    reached = {file.name: file.read_text() for file in folder.iterdir()}
    return {name: reached.get(name, f"{run.returncode} {run.stderr[-3000:]}") for name in names}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return done(tmp_path_factory.mktemp("processes"), *NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_threads_and_forks(said: dict[str, str], name: str) -> None:
    assert said[name] == ""


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
def test_a_group_of_two_processes(tmp_path: Path) -> None:
    copied(2, WORKER.with_name("worker_data_parallel.py"), tmp_path)


def test_the_setting_keeps_a_process_to_torch(tmp_path: Path) -> None:
    setting = {"TAYLORED_EXECUTORS": "blocked,whole", "EXPECTED_EXECUTOR": "blocked"}
    assert done(tmp_path, "threads_side_by_side", **setting) == {"threads_side_by_side": ""}
