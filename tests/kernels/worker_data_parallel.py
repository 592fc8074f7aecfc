"""One rank of two: the averaged gradients are those of the concatenated batch.

    torchrun --nproc-per-node=2 worker_data_parallel.py FOLDER

Nothing is written: a rank for which it does not hold ends with an error.
"""

from __future__ import annotations

import os
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from taylored import PolyLoss
from taylored.core.engine.executors import asked


def main() -> None:
    assert asked()[0] == "native", asked()
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    numbers = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 20, generator=numbers), torch.randint(30, (64,), generator=numbers)
    torch.manual_seed(1)
    model = torch.nn.Linear(20, 30)
    PolyLoss()(model(x), y).backward()
    expected = model.weight.grad.clone()
    model.zero_grad()
    spread = DistributedDataParallel(model)
    mine = slice(32 * rank, 32 * (rank + 1))
    PolyLoss()(spread(x[mine]), y[mine]).backward()
    torch.testing.assert_close(model.weight.grad, expected)
    # All is said. Taking the group apart now and then aborts, with torch's executors too, when its
    # threads still run: leave without, once the other rank is past the barrier.
    dist.barrier()
    time.sleep(1.0)
    os._exit(0)


if __name__ == "__main__":
    main()
