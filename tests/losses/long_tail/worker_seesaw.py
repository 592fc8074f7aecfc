"""One rank of a real group: a seesaw loss that counts for itself, on uneven batches.

    torchrun --nproc-per-node=2 worker_seesaw.py FOLDER

Judging is left to the test: this only records what came out and what was sent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from kit.checks.class_counts import C, classes, draw, value_and_gradient
from kit.collectives import Collectives, counted_all_reduce
from taylored import SeesawLoss
from taylored.losses.long_tail import seesaw


def steps(rank: int) -> list[dict[str, Any]]:
    """Some training steps; rank 1 has nothing to add to the second one."""
    loss, found = SeesawLoss(num_classes=C), []
    for step in range(4):
        size = 0 if (rank, step) == (1, 1) else 5 + rank + step
        logits, target = draw(size, C, seed=10 * step + rank), classes(size, seed=10 * step + rank)
        calls: list[int] = []
        with Collectives() as sent, counted_all_reduce(calls):
            values = value_and_gradient(loss, logits, target)
        found.append(
            {"batch": (logits, target), "values": values, "seen": loss.seen.clone(),
             "sent": sent.seen, "calls": calls}
        )  # fmt: skip
    return found


def silent(rank: int) -> list[str]:
    """Collectives of forwards that do not count."""
    loss = SeesawLoss(num_classes=C)
    given = SeesawLoss(num_classes=C, counts=[4, 3, 2, 1])
    with Collectives() as sent:
        with torch.no_grad():
            loss(draw(5, C), classes(5))
        loss.eval()(draw(5, C).requires_grad_(), classes(5))
        given(draw(5, C).requires_grad_(), classes(5))
    return sent.seen


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    found: dict[str, Any] = {"steps": steps(rank), "silent": silent(rank)}
    original = seesaw.summed
    seesaw.summed = lambda values, group: values  # the planted fault: ranks that do not talk
    found["fault"] = steps(rank)
    seesaw.summed = original
    torch.save(found, Path(sys.argv[1]) / f"seesaw-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
