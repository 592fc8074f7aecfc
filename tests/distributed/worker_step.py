"""One rank that trains a small vision transformer, as it is and with its step compiled.

    torchrun --nproc-per-node=2 worker_step.py FOLDER

A step is the model in mixed precision and a loss with a state, wrapped by DDP.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from taylored import SoftmaxEQLLoss
from taylored.kernels import operator

CLASSES, STEPS = 16, 4


class Transformer(nn.Module):
    """Sixteen patches of an image, two blocks, and a head on their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, 4)
        self.places = nn.Parameter(0.02 * torch.randn(16, 32))
        block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2) + self.places
        return self.head(self.blocks(x).mean(1))


class Step(nn.Module):
    """From images and targets to the loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = Transformer()
        self.loss = SoftmaxEQLLoss(num_classes=CLASSES)

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss: Tensor = self.loss(self.model(images), target)
        return loss


def trained(rank: int, backend: Any) -> dict[str, Any]:
    """Losses, and what a few steps leave in parameters and state."""
    step = Step()
    run = step if backend is None else torch.compile(step, fullgraph=True, backend=backend)
    wrapped = DistributedDataParallel(run)
    optimizer = torch.optim.SGD(step.parameters(), 0.1)
    draw = torch.Generator().manual_seed(rank)
    losses = []
    for _ in range(STEPS):
        images = torch.randn(8, 3, 16, 16, generator=draw)
        target = torch.randint(0, CLASSES - 4 * rank, (8,), generator=draw)
        loss = wrapped(images, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return {"losses": losses, "after": {k: v.clone() for k, v in step.state_dict().items()}}


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    operator._FEW = 0  # the batch is small, and its loss is to be the operators'
    graphs: list[list[str]] = []

    def look(graph: torch.fx.GraphModule, given: list[Tensor]) -> Any:
        graphs.append([str(node.target) for node in graph.graph.nodes])
        return torch._dynamo.lookup_backend("aot_eager")(graph, given)

    found = {
        "eager": trained(dist.get_rank(), None),
        "compiled": trained(dist.get_rank(), look),
        "graphs": graphs,
    }
    torch.save(found, Path(sys.argv[1]) / f"step-{dist.get_rank()}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
