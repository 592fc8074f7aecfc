"""Threads, forks and groups of processes, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from kit.native import needs_native

WORKER = Path(__file__).with_name("worker_process.py")

pytestmark = needs_native
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")


def done(command: list[str], **environment: str) -> None:
    run = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]


@on_linux
@pytest.mark.parametrize("name", ["one_thread", "the_threads_of_torch", "more_threads_do_more"])
def test_no_threads_beside_those_of_torch(name: str) -> None:
    done([sys.executable, str(WORKER), name])


@on_linux
@pytest.mark.parametrize("name", ["fork", "data_loader_workers"])
def test_forked_children(name: str) -> None:
    done([sys.executable, str(WORKER), name])


def test_losses_in_threads_side_by_side() -> None:
    done([sys.executable, str(WORKER), "threads_side_by_side"])


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
def test_a_group_of_two_processes() -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done([sys.executable, *launch, str(WORKER), "data_parallel"], OMP_NUM_THREADS="1")


def test_the_setting_keeps_a_process_to_torch() -> None:
    done(
        [sys.executable, str(WORKER), "threads_side_by_side"],
        TAYLORED_EXECUTORS="blocked,whole",
        EXPECTED_EXECUTOR="blocked",
    )
