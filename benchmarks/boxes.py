"""Time of box losses, forward and backward, beside torchvision's: `python benchmarks/boxes.py`.

One thread, contestants in turns, lowest decile; a ratio above 1 means that ours is faster. The
losses that torchvision does not have are compared with our GIoU.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable

import torch
from timing import Runner, take_turns
from torch import Tensor

import taylored
from taylored import catalog

PEERS = {
    "giou": "generalized_box_iou_loss",
    "diou": "distance_box_iou_loss",
    "ciou": "complete_box_iou_loss",
}
OTHERS = ("iou", "eiou", "siou", "wiou", "nwd", "probiou", "kfiou", "iou_3d", "giou_3d")


def boxes(count: int, numbers: int) -> tuple[Tensor, Tensor]:
    """Pairs that overlap or do not."""
    generator = torch.Generator().manual_seed(0)
    drawn = 3 * torch.rand(2, count, numbers, generator=generator)
    if numbers == 4:
        drawn[..., 2:] += drawn[..., :2] + 0.1
    return drawn[0], drawn[1]


def step(loss: Callable[[Tensor, Tensor], Tensor], count: int, numbers: int) -> Callable[[], None]:
    """Forward and backward on pairs of boxes."""
    given, target = boxes(count, numbers)
    given.requires_grad_()

    def run() -> None:
        given.grad = None
        loss(given, target).backward()

    return run


def theirs(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss of torchvision, averaged."""
    from torchvision import ops

    function = getattr(ops, PEERS[name])
    return lambda x, y: function(x, y, reduction="mean")


def race(contestants: list[Callable[[], None]], rounds: int) -> list[float]:
    """Milliseconds of each, the lowest decile."""
    runners = [Runner(work, contextlib.nullcontext) for work in contestants]
    return [low for low, _, _ in take_turns(runners, rounds, "cpu")]


def main() -> None:
    """Print one table per number of pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--pairs", type=int, nargs="*", default=[100, 10_000, 200_000])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    start = time.time()
    print(f"taylored {taylored.__version__}, torch {torch.__version__}")
    for count in asked.pairs:
        print(f"\n{count} pairs\n\n| loss | ms | torchvision / ours |\n| --- | ---: | ---: |")
        for name in PEERS:
            ours, peer = race(
                [step(catalog.get(name), count, 4), step(theirs(name), count, 4)], asked.rounds
            )
            print(f"| `{name}` | {ours:.3f} | {peer / ours:.2f} |")
        numbers = [max(getattr(catalog.SPECS[name].module, "numbers")) for name in OTHERS]  # noqa: B009
        steps = [step(catalog.get(n), count, k) for n, k in zip(OTHERS, numbers, strict=True)]
        for name, ours in zip(OTHERS, race(steps, asked.rounds), strict=True):
            print(f"| `{name}` | {ours:.3f} | |")
    print(f"\n{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
