"""What the ranks of a group must have seen; the test and its negative control judge by these."""

from __future__ import annotations

from typing import Any

import torch

from kit.checks.stateful import same, stepped
from kit.stateful import Batch, Subject
from kit.tolerances import within

Record = dict[str, Any]


def concatenated(subject: Subject, step: int, world: int) -> Batch:
    """What one process would have been given in place of the group."""
    parts = [subject.share(step, rank, world) for rank in range(world)]
    return Batch(torch.cat([b.logits for b in parts]), torch.cat([b.target for b in parts]))


def check_equal_on_all_ranks(ranks: list[Record]) -> None:
    """The state of every step, bit for bit."""
    for states in zip(*(record["states"] for record in ranks), strict=True):
        assert all(same(state, states[0]) for state in states[1:])


def check_like_one_process(subject: Subject, ranks: list[Record]) -> None:
    """Values and gradients of each rank, and the state, by the official update of all batches."""
    world, official, loss = len(ranks), subject.official(), subject.build()
    for step, state in enumerate(ranks[0]["states"]):
        for rank, record in enumerate(ranks):
            batch = subject.share(step, rank, world)
            expected = official.look(batch.logits, batch.target)
            for got, wanted in zip(record["values"][step], expected, strict=True):
                within(got, wanted)
        batch = concatenated(subject, step, world)
        official.step(batch.logits, batch.target)
        stepped(loss, batch)
        for name in ("positive", "negative"):
            within(state[name], getattr(official, name))
            within(state[name], getattr(loss.indicator, name), 1e-12)
        assert state["steps"] == official.steps


def check_one_collective(ranks: list[Record]) -> None:
    """One all-reduce in each training step, and nothing else sent."""
    for record in ranks:
        for step, seen in enumerate(record["collectives"]):
            assert seen == ["c10d::allreduce_"], (step, seen)
            assert len(record["calls"][step]) == 1, (step, record["calls"][step])
