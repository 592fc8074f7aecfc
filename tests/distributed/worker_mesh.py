"""One rank of four, 2 x 2: groups of ranks that share a state, and ranks that have no part in it.

    torchrun --nproc-per-node=4 worker_mesh.py FOLDER

Judging is left to the test: this only records the states that came out and what was refused.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from kit.checks.remembering import stepped
from kit.remembering import REMEMBERING, State, batch, share_with, state_of

STEPS = 4
COMPILED = (REMEMBERING[0].text, "seesaw")
# Its sums are not divided by anything: those of a mean loss are the same if all count twice.
FAULTY = next(subject for subject in REMEMBERING if subject.text == "seesaw")


def share(loss: nn.Module, step: int, data: int) -> tuple[Tensor, Tensor]:
    """The batch of a data-parallel rank: uneven, and once nothing at all."""
    return batch(loss, 100 * step + data, 0 if (step, data) == (2, 1) else 4 + step + data)


def train(loss: nn.Module, run: nn.Module, data: int) -> list[State]:
    states = []
    for step in range(STEPS):
        stepped(run, *share(loss, step, data))
        states.append(state_of(loss))
    return states


def refusal(loss: nn.Module) -> str:
    try:
        stepped(loss, *share(loss, 0, 0))
    except ValueError as error:
        return str(error)
    return ""


def main() -> None:
    torch.set_num_threads(1)
    # A rank that is waited for in vain ends the test instead of hanging.
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "model"))
    group, data = mesh["data"].get_group(), mesh["data"].get_local_rank()
    last_stage = mesh["model"].get_local_rank() == 1
    found: dict[str, Any] = {"tensor": {}, "pipeline": {}, "compiled": {}, "accumulated": {}}
    for subject in REMEMBERING:
        # Tensor parallelism: both ranks of the other axis have the same batch.
        loss = subject.build()
        share_with(loss, mesh["data"])
        found["tensor"][subject.text] = train(loss, loss, data)
        # Pipeline parallelism: the first stage has a loss object, and never calls it.
        loss = subject.build()
        share_with(loss, group)
        if last_stage:
            found["pipeline"][subject.text] = train(loss, loss, data)
        loss = subject.build()
        share_with(loss, group)
        loss.accumulate(STEPS)
        found["accumulated"][subject.text] = train(loss, loss, data)[-1]
    for subject in REMEMBERING:
        if subject.text in COMPILED:
            torch._dynamo.reset()
            loss = subject.build()
            loss.process_group = group
            # One of them: that all are compiled is tried in the groups. It once has no samples,
            # and what it sends must fit what the others send.
            run: nn.Module = loss
            if dist.get_rank() == 3:
                run = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=True)
            found["compiled"][subject.text] = train(loss, run, data)
    # The planted fault: replicas that count as if they had batches of their own.
    loss = FAULTY.build()
    found["fault"] = train(loss, loss, data)
    # A group made by `new_group` is none on the ranks outside.
    loss = REMEMBERING[0].build()
    loss.process_group = dist.new_group([1, 3])
    found["refusal"] = refusal(loss)
    torch.save(found, Path(sys.argv[1]) / f"mesh-{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
