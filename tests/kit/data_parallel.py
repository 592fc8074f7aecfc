"""One rank of a DistributedDataParallel training with each stateful loss; saves how it ended.

torchrun --nproc-per-node=2 worker_training.py FOLDER
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kit.checks.stateful import state_of
from kit.stateful import PLAIN, Subject

STEPS = 10
SIZE = 6  # on each rank: averaged gradients are those of the concatenated batch only if even
FEATURES = 7


class WithLoss(nn.Module):
    """A model that returns its loss, as some trainers want it."""

    def __init__(self, model: nn.Module, loss: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        return self.loss(self.model(features), target)


def model_for(subject: Subject) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, subject.columns)).double()


def data(subject: Subject, step: int, rank: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1000 * step + rank)
    features = torch.randn(SIZE, FEATURES, generator=generator, dtype=torch.float64)
    # No ignored targets: the mean over a rank would differ from the mean over all.
    target = subject.batch(3 * step + 1, rank=rank, size=SIZE, trailing=(), kind=subject.kinds[0])
    return features, target.target


def train(subject: Subject, ranks: list[int], where: str) -> dict[str, Any]:
    """Ten steps on the batches of these ranks, side by side if there are several."""
    model, loss = model_for(subject), subject.build()
    if where == "inside":
        whole: Any = DistributedDataParallel(WithLoss(model, loss), broadcast_buffers=True)
    elif where == "outside":
        apart = DistributedDataParallel(model)
        whole = lambda x, y: loss(apart(x), y)  # noqa: E731
    else:
        assert where == "alone"
        whole = WithLoss(model, loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for step in range(STEPS):
        batches = [data(subject, step, rank) for rank in ranks]
        features, target = (torch.cat(parts) for parts in zip(*batches, strict=True))
        optimizer.zero_grad()
        whole(features, target).backward()
        optimizer.step()
    parameters = nn.utils.parameters_to_vector(model.parameters()).detach()
    return {"parameters": parameters, "state": state_of(loss)}


def trainings(rank: int) -> dict[str, dict[str, Any]]:
    """This rank's part in every training of the group."""
    return {
        where: {subject.text: train(subject, [rank], where) for subject in PLAIN}
        for where in ("inside", "outside")
    }
