"""One rank of a real group: steps every stateful loss through uneven batches and saves what it saw.

    torchrun --nproc-per-node=2 worker_states.py FOLDER [first]

Judging is left to the test: this only records values, states and the collectives that were sent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from kit.checks.stateful import state_of, stepped
from kit.collectives import Collectives, counted_all_reduce
from kit.data_parallel import trainings
from kit.stateful import COMPILED, PLAIN, SUBJECTS, Subject
from taylored.core.state import gradient_indicator

STEPS = 20
COMPILED_STEPS = 3


def run(loss: nn.Module, subject: Subject, rank: int, world: int) -> dict[str, Any]:
    values, states, collectives, calls = [], [], [], []
    for step in range(STEPS):
        batch = subject.share(step, rank, world)
        now: list[int] = []
        with Collectives() as mode, counted_all_reduce(now):
            value, gradient = stepped(loss, batch)
        values.append((value, gradient))
        states.append(state_of(loss))
        collectives.append(mode.seen)
        calls.append(now)
    return {"values": values, "states": states, "collectives": collectives, "calls": calls}


def silent(loss: nn.Module, subject: Subject, rank: int) -> list[str]:
    """Collectives of forwards that do not count."""
    batch = subject.batch(0, rank=rank)
    with Collectives() as mode:
        stepped(loss.eval(), batch)
        with torch.no_grad():
            loss.train()(batch.logits, batch.target)
        loss.indicator.freeze()
        stepped(loss, batch)
        loss.indicator.ratio()
        loss.predict(batch.logits)
    return mode.seen


def compiled(subject: Subject, rank: int) -> dict[str, Any]:
    """The compiled loss and the plain one, on the same batches.

    One rank compiles each loss, and what it sends meets what the plain one of the other sends;
    both ranks compile in `worker_step.py`.
    """
    torch._dynamo.reset()
    losses = [subject.build() for _ in range(2)]
    runs: list[nn.Module] = list(losses)
    if rank == COMPILED.index(subject) % 2:
        runs[0] = torch.compile(losses[0], fullgraph=True, backend="aot_eager")
    states = []
    for step in range(COMPILED_STEPS):
        batch = subject.batch(step, rank=rank, size=3 + rank, trailing=(), kind=subject.kinds[0])
        found = [stepped(each, batch) for each in runs]
        states.append([(*each, state_of(loss)) for each, loss in zip(found, losses, strict=True)])
    return {"states": states}


def without_all_reduce(subject: Subject, rank: int, world: int) -> dict[str, Any]:
    """The planted fault: every rank keeps its own sums."""
    original = gradient_indicator.summed
    gradient_indicator.summed = lambda values, group: values
    try:
        return run(subject.build(), subject, rank, world)
    finally:
        gradient_indicator.summed = original


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    found: dict[str, Any] = {"subjects": {}, "silent": {}, "compiled": {}}
    only_first = "first" in sys.argv[2:]
    for subject in SUBJECTS[:1] if only_first else SUBJECTS:
        loss = subject.build()
        found["subjects"][subject.text] = run(loss, subject, rank, world)
        found["silent"][subject.text] = silent(loss, subject, rank)
    if world == 2 and not only_first:
        found["trainings"] = trainings(rank)
        for subject in COMPILED:
            found["compiled"][subject.text] = compiled(subject, rank)
        found["fault"] = without_all_reduce(PLAIN[0], rank, world)
    torch.save(found, Path(sys.argv[1]) / f"states-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
