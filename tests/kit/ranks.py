"""Groups of processes: started by torchrun, or as copies of this process, which is much faster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401 - for the copies, which it takes seconds
import torch.distributed as dist

from kit import copies

TESTS = Path(__file__).parents[1]


def torchrun(world: int, script: Path, folder: Path, *more: str) -> None:
    """Run a script on every rank, as a user would."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={world}", str(script), str(folder), *more]
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]


def copied(world: int, script: Path, folder: Path) -> None:
    """The same, where starting Python and importing torch is no part of the question."""
    if not copies.copies_work():
        torchrun(world, script, folder)
        return
    # The store is in this process, as torchrun has it: no port is chosen before it is taken.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
    }
    ranks = []
    for rank in range(world):
        with (folder / f"errors-{rank}").open("wb") as errors:
            environment = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            command = [sys.executable, script, folder]
            ranks.append(copies.Popen(command, env=environment, stderr=errors))
    try:
        for rank, process in enumerate(ranks):
            code = process.wait(timeout=300)
            assert code == 0, f"{code} " + (folder / f"errors-{rank}").read_text()[-5000:]
    finally:
        for process in ranks:
            process.kill()
            process.wait()
