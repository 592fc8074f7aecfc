"""Real groups of 2 and 4 processes, as torchrun starts them: one state, as of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from kit.checks import distributed as checks
from kit.checks.stateful import same, state_of, stepped
from kit.collectives import Collectives, counted_all_reduce
from kit.data_parallel import train
from kit.ranks import copied, torchrun
from kit.stateful import COMPILED, PLAIN, SUBJECTS, Subject, identified
from kit.tolerances import within

WORKER = Path(__file__).with_name("worker_states.py")
WORLDS = (2, 4)

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
each_world = pytest.mark.parametrize("world", WORLDS)
each_subject = pytest.mark.parametrize(**identified(SUBJECTS))
each_loss = pytest.mark.parametrize(**identified(PLAIN))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What every rank of each group saved."""
    found = {}
    for world in WORLDS:
        folder = tmp_path_factory.mktemp(f"ranks-{world}")
        copied(world, WORKER, folder)
        found[world] = [torch.load(folder / f"states-{rank}.pt") for rank in range(world)]
    return found


def of(subject: Subject, ranks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record["subjects"][subject.text] for record in ranks]


def test_torchrun_starts_the_same_group(groups: dict, tmp_path: Path) -> None:
    torchrun(2, WORKER, tmp_path, "first")
    found = [torch.load(tmp_path / f"states-{rank}.pt") for rank in range(2)]
    for ranks in (found, groups[2]):
        checks.check_equal_on_all_ranks(of(SUBJECTS[0], ranks))
    for one, other in zip(of(SUBJECTS[0], found), of(SUBJECTS[0], groups[2]), strict=True):
        assert all(map(same, one["states"], other["states"]))


@each_world
@each_subject
def test_all_ranks_end_equal(groups: dict, subject: Subject, world: int) -> None:
    checks.check_equal_on_all_ranks(of(subject, groups[world]))


@each_world
@each_subject
def test_the_group_is_one_process(groups: dict, subject: Subject, world: int) -> None:
    checks.check_like_one_process(subject, of(subject, groups[world]))


@each_world
@each_subject
def test_one_collective_per_update(groups: dict, subject: Subject, world: int) -> None:
    checks.check_one_collective(of(subject, groups[world]))
    assert [record["silent"][subject.text] for record in groups[world]] == [[]] * world


@pytest.mark.parametrize(**identified(COMPILED))
def test_compiled_in_a_group(groups: dict, subject: Subject) -> None:
    ranks = [record["compiled"][subject.text]["states"] for record in groups[2]]
    assert len(ranks[0]) > 1
    for steps in zip(*ranks, strict=True):
        for (*found, state), (*expected, plain_state) in steps:
            for got, wanted in zip(found, expected, strict=True):
                within(got, wanted, 1e-11)
            for name, buffer in plain_state.items():
                within(state[name], buffer, 1e-11)
        assert same(steps[0][0][-1], steps[1][0][-1])


def test_ranks_that_do_not_talk_are_noticed(groups: dict) -> None:
    faulty = [record["fault"] for record in groups[2]]
    for check in (
        checks.check_equal_on_all_ranks,
        lambda ranks: checks.check_like_one_process(PLAIN[0], ranks),
        checks.check_one_collective,
    ):
        check(of(PLAIN[0], groups[2]))
        with pytest.raises(AssertionError):
            check(faulty)


@pytest.mark.parametrize("where", ["inside", "outside"])
@each_loss
def test_distributed_data_parallel(groups: dict, subject: Subject, where: str) -> None:
    ranks = [record["trainings"][where][subject.text] for record in groups[2]]
    assert same(ranks[0]["state"], ranks[1]["state"])
    assert torch.equal(ranks[0]["parameters"], ranks[1]["parameters"])
    alone = train(subject, [0, 1], "alone")
    for name, buffer in alone["state"].items():
        within(ranks[0]["state"][name], buffer)
    within(ranks[0]["parameters"], alone["parameters"])


@pytest.fixture
def group_of_one(tmp_path: Path) -> Any:
    store = (tmp_path / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@each_loss
def test_a_group_of_one_sends_nothing(group_of_one: None, subject: Subject) -> None:
    loss, calls = subject.build(), []
    for step in range(4):
        with Collectives() as mode, counted_all_reduce(calls):
            stepped(loss, subject.batch(step))
        assert mode.seen == calls == []
    assert state_of(loss)["steps"] == 4


def test_collectives_are_seen(group_of_one: None) -> None:
    calls: list[int] = []
    with Collectives() as mode, counted_all_reduce(calls):
        dist.all_reduce(torch.ones(3))
        dist.broadcast(torch.ones(2), 0)
    assert calls == [3]
    assert mode.seen == ["c10d::allreduce_", "c10d::broadcast_"]
