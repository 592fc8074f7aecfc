"""Our Dice beside those of kornia, MONAI and segmentation-models: time and memory of a step.

    python benchmarks/overlap.py
    python benchmarks/overlap.py --threads 1 --clock cpu    # a busy machine

A step is forward and backward of eager code, on float32 logits and class indices; MONAI is also
given one-hot targets that were made before. All contestants take turns in one process, in an order
drawn for every round, and ratios are of the fastest step of each. Memory is the growth of the
process over a step in a fresh process for each contestant, in multiples of the logits; the gradient
is one of them. A copy of the logits, into memory that is there already, shows how fast memory is.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
Average = Literal["sample", "sample_micro"]


def ours(executor: str, average: Average = "sample") -> Loss:
    from taylored import DiceLoss
    from taylored.core.engine import executors

    loss = DiceLoss(average=average, smooth_numerator=1e-5, smooth_denominator=1e-5)

    def run(logits: Tensor, target: Tensor) -> Tensor:
        with executors.only(executor):  # forward; backward asks again
            return loss(logits, target)

    if executor == "blocked":
        executors.keep(("blocked",))
        return loss
    return run


def kornia(average: str) -> Loss:
    from kornia.losses import DiceLoss

    return DiceLoss(average=average)


def kornia_one_hot() -> Loss:
    """What kornia runs under 2^15 logits, and ran everywhere before 0.9."""
    import kornia.losses.dice as dice

    def run(logits: Tensor, target: Tensor) -> Tensor:
        dice._CPU_MIN_NUMEL = 1 << 62
        try:
            return dice.dice_loss(logits, target, average="macro")
        finally:
            dice._CPU_MIN_NUMEL = 1 << 15

    return run


def monai() -> Loss:
    from monai.losses import DiceLoss

    loss = DiceLoss(softmax=True, to_onehot_y=True)
    return lambda logits, target: loss(logits, target.unsqueeze(1))


def monai_given() -> Loss:
    """MONAI on one-hot targets."""
    from monai.losses import DiceLoss

    return DiceLoss(softmax=True)


def smp() -> Loss:
    from segmentation_models_pytorch.losses import DiceLoss

    return DiceLoss("multiclass")


class Contestant(NamedTuple):
    """Who needs which package, and whether its targets are one-hot before the step begins."""

    package: str
    made: Callable[[], Loss]
    one_hot: bool = False


CONTESTANTS = {
    "taylored (native)": Contestant("taylored", lambda: ours("native")),
    "taylored (native), micro": Contestant("taylored", lambda: ours("native", "sample_micro")),
    "kornia micro": Contestant("kornia", lambda: kornia("micro")),
    "kornia macro": Contestant("kornia", lambda: kornia("macro")),
    "kornia macro, one-hot": Contestant("kornia", kornia_one_hot),
    "MONAI": Contestant("monai", monai),
    "MONAI, one-hot given": Contestant("monai", monai_given, one_hot=True),
    "smp": Contestant("segmentation_models_pytorch", smp),
    "taylored (blocked)": Contestant("taylored", lambda: ours("blocked")),
}
"""The last keeps its process to one executor."""


def data(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(shape)
    target = torch.randint(0, shape[1], (shape[0], *(max(1, side // 16) for side in shape[2:])))
    whole = torch.nn.functional.interpolate(target[:, None].float(), size=shape[2:])  # blobs
    return logits, whole[:, 0].long()


def given(contestant: Contestant, target: Tensor, classes: int) -> Tensor:
    if not contestant.one_hot:
        return target
    return torch.nn.functional.one_hot(target, classes).movedim(-1, 1).float().contiguous()


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def step(
    loss: Loss, logits: Tensor, target: Tensor, clock: Callable[[], float] = time.perf_counter
) -> float:
    leaf = logits.requires_grad_()
    leaf.grad = None
    began = clock()
    loss(leaf, target).backward()
    return clock() - began


def memory(name: str, shape: tuple[int, ...]) -> float:
    """Peak growth of this process over a step, in multiples of the logits."""
    contestant = CONTESTANTS[name]
    loss = contestant.made()
    logits, target = data((1, shape[1], 8, 8))
    step(loss, logits, given(contestant, target, shape[1]))
    logits, target = data(shape)
    target = given(contestant, target, shape[1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = torch.ones(max(0, before * 1024 - _resident()) // 4)  # so that the peak moves at once
    step(loss, logits, target)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    del held
    return grown * 1024 / (logits.numel() * 4)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--shape", default="8,21,512,512")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    shape = tuple(map(int, options.shape.split(",")))
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(f"{memory(options.memory_of, shape):.2f}")
        return
    there = {n: c for n, c in CONTESTANTS.items() if importlib.util.find_spec(c.package)}
    *first, last = there
    clock = CLOCKS[options.clock]
    logits, target = data(shape)
    losses = {name: there[name].made() for name in first}
    targets = {name: given(there[name], target, shape[1]) for name in first}
    room = torch.zeros(shape)
    times: dict[str, list[float]] = {name: [] for name in there}
    copies: list[float] = []
    order = list(losses)
    for _ in range(options.rounds):
        random.shuffle(order)  # what one leaves behind is not always before the same other
        for name in order:
            times[name].append(step(losses[name], logits, targets[name], clock))
        began = clock()
        room.copy_(logits.detach())
        copies.append(clock() - began)
    loss = there[last].made()
    times[last] = [step(loss, logits, target, clock) for _ in range(options.rounds)]
    best = min(times["taylored (native)"])
    print(f"{options.shape}, {options.threads} threads, {options.clock} time of {options.rounds}\n")
    print("| Dice | ms | times ours | memory |\n| --- | --- | --- | --- |")
    for name, found in times.items():
        command = [sys.executable, __file__, "--memory-of", name, "--shape", options.shape]
        command += ["--threads", str(options.threads)]
        peak = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        print(f"| {name} | {1000 * min(found):.0f} | {min(found) / best:.2f} | {peak} |")
    copy = min(copies)
    moved = 2 * logits.numel() * 4 / copy / 1e9
    print(f"\nA copy of the logits takes {1000 * copy:.0f} ms, {moved:.1f} GB/s")


if __name__ == "__main__":
    main()
