"""A mesh of 2 x 2 real processes: one state per process group, as of one process."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from kit.checks.remembering import same, stepped
from kit.ranks import copied
from kit.remembering import REMEMBERING, Remembering, State, identified, state_of

WORKER = Path(__file__).with_name("worker_mesh.py")
known = runpy.run_path(str(WORKER))
STEPS, COMPILED, share = known["STEPS"], known["COMPILED"], known["share"]

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
each = pytest.mark.parametrize(**identified(REMEMBERING))
compiled = tuple(subject for subject in REMEMBERING if subject.text in COMPILED)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the four ranks saved."""
    folder = tmp_path_factory.mktemp("mesh")
    copied(4, WORKER, folder)
    return [torch.load(folder / f"mesh-{rank}.pt") for rank in range(4)]


def alone(subject: Remembering, group: int = 1) -> list[State]:
    """The states of one process on the batches of both data-parallel ranks, some steps at once."""
    loss, states = subject.build(), []
    for first in range(0, STEPS, group):
        parts = [
            share(loss, step, data) for step in range(first, first + group) for data in range(2)
        ]
        stepped(loss, *(torch.cat(each) for each in zip(*parts, strict=True)))
        states.append(state_of(loss))
    return states


def check_like_one_process(found: list[State], subject: Remembering) -> None:
    for got, expected in zip(found, alone(subject), strict=True):
        same(got, expected)


@each
def test_tensor_parallel_replicas_count_once(ranks: list[dict], subject: Remembering) -> None:
    for record in ranks:
        check_like_one_process(record["tensor"][subject.text], subject)


@each
def test_pipeline_stages_without_a_loss_are_not_waited_for(
    ranks: list[dict], subject: Remembering
) -> None:
    found = [record["pipeline"][subject.text] for record in ranks if record["pipeline"]]
    assert len(found) == 2
    for states in found:
        check_like_one_process(states, subject)


@each
def test_accumulated_in_a_group(ranks: list[dict], subject: Remembering) -> None:
    for record in ranks:
        same(record["accumulated"][subject.text], alone(subject, STEPS)[-1])


@pytest.mark.parametrize(**identified(compiled))
def test_compiled_in_a_group(ranks: list[dict], subject: Remembering) -> None:
    for record in ranks:
        check_like_one_process(record["compiled"][subject.text], subject)


def test_replicas_that_count_twice_are_noticed(ranks: list[dict]) -> None:
    for record in ranks:
        with pytest.raises(AssertionError):
            check_like_one_process(record["fault"], known["FAULTY"])


def test_ranks_outside_of_the_group_are_refused(ranks: list[dict]) -> None:
    for rank, record in enumerate(ranks):
        inside = rank in (1, 3)
        assert (record["refusal"] == "") == inside
        assert (
            inside
            or "`process_group` must be a group to which the calling process belongs"
            in (record["refusal"])
        )
