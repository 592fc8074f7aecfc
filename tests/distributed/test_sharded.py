"""Classes split over 2 and 4 real processes: value, gradient and state are those of one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from kit import sharded
from kit.ranks import copied
from kit.sharded import REFUSED, SHARDED, calls_of, slice_of
from kit.sharded_group import (
    EXTREME_LOSSES,
    EXTREMES,
    LOGITS,
    STATES,
    TARGET,
    extremes,
    fully_sharded,
    steps,
)
from kit.tolerances import close, within
from kit.traits import CLASSES, loss_of
from taylored import FocalLoss, GradientRatio, ShardedLogits
from taylored.core.engine import blocked, executors

WORLDS = (2, 4)
WORKER = Path(__file__).with_name("worker_sharded.py")

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
each_world = pytest.mark.parametrize("world", WORLDS)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What every process of each group found; all do everything in one go."""
    for name in SHARDED:
        calls_of(name)
    folder = tmp_path_factory.mktemp("sharded")
    found = {}
    for world in WORLDS:
        copied(world, WORKER, folder)
        found[world] = [torch.load(folder / f"{world}-{rank}.pt") for rank in range(world)]
    return found


@each_world
@pytest.mark.parametrize("name", SHARDED)
def test_the_group_is_one_process(groups: dict, name: str, world: int) -> None:
    sharded.like_one_process(name, [rank["losses"][name] for rank in groups[world]])


@each_world
def test_extremes_are_those_of_one_process(groups: dict, world: int) -> None:
    names = [f"{text} of {name}" for text in EXTREME_LOSSES for name in EXTREMES]
    ranks = [rank["extremes"] for rank in groups[world]]
    with executors.only("whole"):
        alone = extremes(0, 1)
    for name, expected, *found in zip(names, alone, *ranks, strict=True):
        try:
            sharded.check(found, expected, torch.float32)
        except AssertionError as error:
            raise AssertionError(name) from error


@each_world
@pytest.mark.parametrize("name", STATES)
def test_states_are_those_of_one_process(groups: dict, name: str, world: int) -> None:
    expected = steps(loss_of(name), lambda z: z.clone().requires_grad_(), range(2))
    for rank in groups[world]:
        ways = rank["stateful"][name]
        assert len(ways) == (3 if world == 4 else 1)
        for states in ways:
            for got, wanted in zip(states, expected, strict=True):
                for key, buffer in wanted.items():
                    within(got[key], buffer, 1e-11)


@each_world
def test_cross_entropy_is_that_of_loss_parallel(groups: dict, world: int) -> None:
    for rank in groups[world]:
        found = rank["dtensor"]
        for name in found:
            if name.startswith("ours"):
                close(found[name], found[name.replace("ours", "torch")])


@each_world
def test_other_ways_to_give_them(groups: dict, world: int) -> None:
    leaf = LOGITS.clone().requires_grad_()
    loss_of("brier")(leaf, TARGET).backward()
    tokens = FocalLoss(class_dim=-1)(LOGITS[:4].reshape(2, 2, 5), TARGET[:4].reshape(2, 2))
    for number, rank in enumerate(groups[world]):
        start, end = slice_of(number, world)
        found = rank["other"]
        assert "together they have every class once" in found["overlapping"]
        assert f"classes {start} to {end} of 5" in found["agreed"]
        close(found["gathered"], LOGITS)
        close(found["gradient"], leaf.grad[:, start:end])
        close(found["tokens"], tokens)


@each_world
def test_a_head_finds_its_loss_where_its_weight_is_whole(groups: dict, world: int) -> None:
    expected = fully_sharded(0, 1)
    for rank in groups[world]:
        found = rank["fully sharded"]
        assert "`weight` must be the whole weight of the head" in found["said"]
        assert "taylored.LinearHead" in found["said"]
        for got, wanted in zip(found["gradients"], expected["gradients"], strict=True):
            close(got, wanted)
        for name, buffer in expected["state"].items():
            within(found["state"][name], buffer, 1e-11)


@pytest.mark.parametrize("fault", ["maximum", "sum", "classes"])
def test_planted_faults_are_noticed(groups: dict, fault: str) -> None:
    ranks = [rank["planted"][fault] for rank in groups[2]]
    for subject, *found in zip(calls_of("logit_adjusted"), *ranks, strict=True):
        with pytest.raises(AssertionError):
            sharded.check(found, sharded.result(subject, 0, 1), subject.dtype)


def test_one_process_has_every_class() -> None:
    value = FocalLoss()(ShardedLogits(LOGITS.clone(), start=0, classes=CLASSES), TARGET)
    close(value, FocalLoss()(LOGITS, TARGET))


def alone(**given: Any) -> ShardedLogits:
    return ShardedLogits(
        **{"local": LOGITS.clone().requires_grad_(), "start": 0, "classes": 5, **given}
    )


@pytest.mark.parametrize("name", REFUSED)
def test_losses_that_need_all_logits_refuse_them(name: str) -> None:
    with pytest.raises(ValueError, match=r"all logits at once, got ShardedLogits.*input.logits"):
        loss_of(name)(alone(), TARGET)
    loss_of(name)(alone().logits(), TARGET)


@pytest.mark.parametrize("shape", [(7, CLASSES), (3, CLASSES, 4)])
def test_pieces_are_the_whole(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A large distribution is run in pieces."""
    loss = FocalLoss(gamma=2, label_smoothing=0.1)
    logits = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    target = torch.arange(logits[:, 0].numel()).reshape(logits[:, 0].shape) % CLASSES
    whole = loss(alone(local=logits), target)
    (expected,) = torch.autograd.grad(whole, logits)
    monkeypatch.setattr(blocked, "BLOCK_ELEMENTS", 2 * CLASSES)
    pieces = loss(alone(local=logits), target)
    close(pieces, whole)
    close(torch.autograd.grad(pieces, logits)[0], expected)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ShardedLogits([1.0]), "`local` must be floating-point logits"),
        (lambda: alone(class_dim=0), "`class_dim` must be an axis after the first"),
        (lambda: alone(start=1), "`start` must be the first of 5 classes out of 5"),
        (lambda: alone(classes=4, start=None), "`classes` must be 5"),
        (lambda: alone(group="all"), "`group` must be a torch.distributed process group"),
        (lambda: FocalLoss(link="sigmoid")(alone(), TARGET), "with the sigmoid link"),
        (lambda: FocalLoss(class_dim=-1)(alone(local=LOGITS.reshape(3, 5, 4)), TARGET[:4]),
         "`class_dim` must be that of `input`, 1, got 2"),
        (lambda: further_derivative(FocalLoss()), "second derivatives"),
        (lambda: FocalLoss(weight=torch.ones(5, requires_grad=True))(alone(), TARGET),
         "where an option wants a gradient"),
        (lambda: FocalLoss()(alone(), TARGET + 5), "class indices in 0..4"),
        (lambda: GradientRatio(FocalLoss(), num_classes=5)(alone(), TARGET), "GradientRatio"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        call()


def further_derivative(loss: nn.Module) -> None:
    input = alone()
    torch.autograd.grad(loss(input, TARGET), input.local, create_graph=True)
