"""What each process of a group that shares the classes finds: recorded here, judged by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor
from torch.distributed.tensor.parallel import loss_parallel

from kit import sharded
from kit.sharded import SHARDED, calls_of, slice_of
from kit.traits import CLASSES, COUNTS, SCORED, loss_of
from taylored import (
    CrossEntropyLoss,
    FocalLoss,
    LinearHead,
    LinearLogits,
    ShardedLogits,
    SoftmaxEQLLoss,
    catalog,
)
from taylored.core.engine.sharded import part
from taylored.core.inputs.columns import Columns

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(12, CLASSES, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.randint(CLASSES, (12,), generator=GENERATOR)
# Torch's loss_parallel takes no process without a class, and so these are more.
WIDE = torch.randn(12, 10, generator=GENERATOR, dtype=torch.float64)

EXTREMES = {
    "offset": torch.tensor([[1e8, 1e8 + 8, 1e8, 1e8 - 16, 1e8]]),
    "negative offset": torch.tensor([[-3e30, -3e30, -3e30, -3.1e30, -3e30]]),
    "certain": torch.tensor([[90.0, -90.0, 0.0, -80.0, 1.0]]),
    "wrong": torch.tensor([[-200.0, 200.0, 0.0, 0.0, 0.0]]),
    "masked": torch.tensor([[1.0, -torch.inf, 2.0, -torch.inf, -torch.inf]]),
    "masked truth": torch.tensor([[-torch.inf, 1.0, 2.0, 0.0, -torch.inf]]),
    "nothing else": torch.tensor([[1.0] + [-torch.inf] * 4]),
    "infinite": torch.tensor([[0.0, 1.0, torch.inf, 0.0, 0.0]]),
    "infinite truth": torch.tensor([[torch.inf, 1.0, 0.0, 0.0, 0.0]]),
    "unknown": torch.tensor([[0.0, 1.0, 2.0, torch.nan, 0.0]]),
    "alike": torch.zeros(1, 5),
    "two ahead": torch.tensor([[40.0, 0.0, 0.0, 40.0, 0.0]]),
}
EXTREME_LOSSES = (
    "cross_entropy()",
    "cross_entropy(label_smoothing=0.1)",
    "focal(gamma=0.5)",
    "focal(gamma=2, label_smoothing=0.2)",
    "poly(epsilon=2)",
    f"logit_adjusted(counts={list(COUNTS)})",
    f"vector_scaling(counts={list(COUNTS)})",
)
STATES = [
    name
    for name in SHARDED
    if loss_of(name).state_dict() and name not in SCORED and catalog.SPECS[name].call == "plain"
]


def shard(logits: Tensor, rank: int, world: int, group: Any = None) -> tuple[Tensor, ShardedLogits]:
    start, end = slice_of(rank, world)
    leaf = logits[:, start:end].clone().requires_grad_()
    return leaf, ShardedLogits(leaf, group, start, logits.shape[1])


def extremes(rank: int, world: int) -> list[dict[str, Tensor]]:
    found = []
    for text in EXTREME_LOSSES:
        for logits in EXTREMES.values():
            leaf, input = (
                shard(logits, rank, world) if world > 1 else 2 * (logits.clone().requires_grad_(),)
            )
            value = catalog.get(text)(input, torch.tensor([0]))
            value.backward()
            found.append({"value": value.detach(), "gradient": leaf.grad})
    return found


def steps(loss: nn.Module, run: Callable[[Tensor], Any], parts: range) -> list[dict]:
    """The state after each of some batches, of which this process is given parts."""
    states = []
    for step in range(3):
        rows = [4 * step + row for part in parts for row in (2 * part, 2 * part + 1)]
        loss(run(LOGITS[rows] / 3), TARGET[rows]).backward()
        states.append({name: buffer.clone() for name, buffer in loss.state_dict().items()})
    return states


def stateful(rank: int, world: int) -> dict[str, list[list[dict]]]:
    """States where all processes share the classes, and on a mesh of two batches by two."""
    found = {}
    for name in STATES:
        loss = loss_of(name)
        found[name] = [steps(loss, lambda z: shard(z, rank, world)[1], range(2))]
        if world == 4:
            mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "classes"))
            data, place = mesh.get_coordinate()
            for sharing in (None, mesh["data"]):
                loss = loss_of(name)
                loss.process_group = sharing
                group = mesh["classes"].get_group()
                run = lambda z, group=group, place=place: shard(z, place, 2, group)[1]  # noqa: E731
                found[name].append(steps(loss, run, range(data, data + 1)))
    return found


def dtensor(rank: int, world: int) -> dict[str, Tensor]:
    """Cross-entropy of a DTensor, ours and torch's."""
    found = {}
    mesh = init_device_mesh("cpu", (world,))
    for weight in (None, torch.arange(1.0, 11.0, dtype=torch.float64)):
        for name in ("ours", "torch"):
            logits = distribute_tensor(WIDE.clone(), mesh, [Shard(1)]).requires_grad_()
            if name == "ours":
                value = CrossEntropyLoss(weight=weight)(logits, TARGET)
                value.backward()
            else:
                with loss_parallel():
                    value = torch.nn.functional.cross_entropy(logits, TARGET, weight=weight)
                    value.backward()
                value = value.full_tensor()
            found[f"{name} {weight is None}"] = value.detach()
            found[f"{name} {weight is None} gradient"] = logits.grad.to_local()
    return found


def shard_of_tokens(rank: int, world: int, class_dim: int) -> ShardedLogits:
    start, end = slice_of(rank, world)
    local = LOGITS[:4].reshape(2, 2, 5)[:, :, start:end]
    local = local if class_dim == -1 else local.movedim(-1, 1)
    return ShardedLogits(local, None, start, 5, class_dim=class_dim)


def other_ways(rank: int, world: int) -> dict[str, Any]:
    """Told by the ranks, tokens, and logits that are gathered."""
    start, end = slice_of(rank, world)
    leaf = LOGITS[:, start:end].clone().requires_grad_()
    try:
        ShardedLogits(leaf, None, start + 1)
    except ValueError as error:
        overlapping = str(error)
    gathered = ShardedLogits(leaf).logits()
    loss_of("brier")(gathered, TARGET).backward()
    tokens = FocalLoss(class_dim=-1)(shard_of_tokens(rank, world, -1), TARGET[:4].reshape(2, 2))
    return {
        "overlapping": overlapping,
        "agreed": repr(ShardedLogits(leaf)),
        "gathered": gathered.detach(),
        "gradient": leaf.grad,
        "tokens": tokens,
    }


def built_head() -> nn.Module:
    torch.manual_seed(0)
    head = LinearHead(5, 7, SoftmaxEQLLoss(FocalLoss(), num_classes=7), dtype=torch.float64)
    return nn.Sequential(nn.Linear(5, 5, dtype=torch.float64), head)


def fully_sharded(rank: int, world: int) -> dict[str, Any]:
    """A head under FSDP2, which gathers its weight in its own forward."""
    model = built_head()
    if world > 1:
        for part in (*model, model):
            fully_shard(part)
    features = model[0](LOGITS.chunk(world)[rank])
    said = ""
    if world > 1:
        try:
            LinearLogits(features, model[1].weight)
        except ValueError as error:
            said = str(error)
    value = model[1](features, TARGET.chunk(world)[rank])
    value.backward()
    gradients = [
        getattr(each.grad, "full_tensor", lambda each=each: each.grad)()
        for each in model.parameters()
    ]
    state = {name: each.clone() for name, each in model[1].loss.named_buffers()}
    return {"said": said, "gradients": gradients, "state": state}


def planted(rank: int, world: int) -> dict[str, list[dict[str, Tensor]]]:
    """What the losses are with a collective left out, or the numbers of other classes."""

    def shifted(columns: Columns, values: Tensor, axis: int = 0) -> Tensor:
        return original(columns, values.roll(1, axis), axis)

    original, found = Columns.of, {}
    faults = {
        "maximum": (part, "largest", lambda values, group: values),
        "sum": (part, "summed", lambda values, group: values),
        "classes": (Columns, "of", shifted),
    }
    for fault, (place, name, instead) in faults.items():
        kept = getattr(place, name)
        setattr(place, name, instead)
        found[fault] = [sharded.result(each, rank, world) for each in calls_of("logit_adjusted")]
        setattr(place, name, kept)
    return found


def work(rank: int, world: int) -> dict[str, Any]:
    return {
        "losses": sharded.everything(rank, world),
        "extremes": extremes(rank, world),
        "stateful": stateful(rank, world),
        "dtensor": dtensor(rank, world),
        "other": other_ways(rank, world),
        "fully sharded": fully_sharded(rank, world),
        "planted": planted(rank, world) if world == 2 else None,
    }
