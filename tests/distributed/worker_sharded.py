"""One process of a group that shares the classes.

torchrun --nproc-per-node=2 worker_sharded.py FOLDER
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from kit.sharded_group import work


def main() -> None:
    torch.set_num_threads(1)
    # A process that is waited for in vain ends the test instead of hanging.
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.save(work(rank, world), Path(sys.argv[1]) / f"{world}-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
