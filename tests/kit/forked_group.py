"""Process groups of copies of this process, which has imported everything that they need.

Starting Python and importing torch takes seconds in every process, a copy milliseconds.
"""

from __future__ import annotations

import datetime
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # meshes and DTensors import it late, which would be in every copy
import torch.distributed as dist

Work = Callable[[int, int], Any]
"""(rank, number of processes) -> what `torch.save` can keep."""


def in_group(world: int, work: Work, folder: Path) -> list[Any]:
    """What every process of a gloo group returns."""
    found = [folder / f"{world}-{rank}.pt" for rank in range(world)]
    copies = [_copy(rank, world, work, folder) for rank in range(world)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in copies]
    said = "\n".join(path.read_text() for path in folder.glob(f"{world}-*.txt"))
    assert codes == [0] * world, said
    return [torch.load(path) for path in found]


def _copy(rank: int, world: int, work: Work, folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        torch.set_num_threads(1)
        store = (folder / f"store-{world}").as_uri()
        # A process that is waited for in vain ends the test instead of hanging.
        limit = datetime.timedelta(seconds=60)
        dist.init_process_group(
            "gloo", init_method=store, rank=rank, world_size=world, timeout=limit
        )
        torch.save(work(rank, world), folder / f"{world}-{rank}.pt")
        dist.barrier()
    except BaseException:
        (folder / f"{world}-{rank}.txt").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)
