"""Our losses beside torch, torchvision, timm and kornia: time and peak memory of a training step.

    python benchmarks/losses.py                 # the table, as Markdown
    python benchmarks/losses.py --rounds 3 --threads 1 --only "sigmoid focal"

Time: all libraries of a row take turns in one process, round by round; the median is shown, and
its ratio to ours. Memory: one fresh process per cell; growth of the peak resident set over the
state just before the call, in multiples of the logits. Compare ratios, not milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import taylored

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Work:
    """One row: a shape, a kind of target and the libraries that compute the same loss."""

    name: str
    shape: tuple[int, ...]
    target: str
    losses: dict[str, Callable[[], Loss]]


def torchvision_focal() -> Loss:
    from torchvision.ops import sigmoid_focal_loss

    return lambda x, y: sigmoid_focal_loss(x, y, alpha=0.25, gamma=2.0, reduction="mean")


def kornia_binary_focal() -> Loss:
    from kornia.losses import binary_focal_loss_with_logits

    return lambda x, y: binary_focal_loss_with_logits(x, y, alpha=0.25, gamma=2.0, reduction="mean")


def kornia_focal() -> Loss:
    from kornia.losses import focal_loss

    return lambda x, y: focal_loss(x, y, alpha=None, gamma=2.0, reduction="none").sum() / y.numel()


def timm_binary(epsilon: float) -> Callable[[], Loss]:
    def build() -> Loss:
        from timm.loss import PolyBinaryCrossEntropy

        return PolyBinaryCrossEntropy(epsilon=epsilon, gamma=2.0, alpha=0.25)

    return build


def timm_poly() -> Loss:
    from timm.loss import PolyCrossEntropy

    return PolyCrossEntropy(epsilon=2.0)


def ours(text: str) -> Callable[[], Loss]:
    return lambda: taylored.get(text)


CROSS_ENTROPY = {"taylored": ours("cross_entropy"), "torch": lambda: F.cross_entropy}
POLY = {"taylored": ours("poly(epsilon=2)"), "timm": timm_poly}
FOCAL = {"taylored": ours("focal(gamma=2)"), "kornia": kornia_focal}
SEGMENTATION = (8, 21, 512, 512)

WORKS = (
    Work(
        "sigmoid focal",
        (200_000, 80),
        "multi-hot",
        {
            "taylored": ours('focal(gamma=2, link="sigmoid", alpha=0.25)'),
            "torchvision": torchvision_focal,
            "timm": timm_binary(0.0),
            "kornia": kornia_binary_focal,
        },
    ),
    Work(
        "sigmoid Poly focal",
        (200_000, 80),
        "multi-hot",
        {
            "taylored": ours('poly(epsilon=1, gamma=2, link="sigmoid", alpha=0.25)'),
            "timm": timm_binary(1.0),
        },
    ),
    Work(
        "binary cross-entropy",
        (200_000, 80),
        "multi-hot",
        {
            "taylored": ours("binary_cross_entropy"),
            "torch": lambda: F.binary_cross_entropy_with_logits,
        },
    ),
    Work("cross-entropy", (65_536, 100), "index", CROSS_ENTROPY),
    Work("Poly-1", (65_536, 100), "index", POLY),
    Work("focal", (65_536, 100), "index", FOCAL),
    Work("cross-entropy", (8_192, 1_000), "index", CROSS_ENTROPY),
    Work("Poly-1", (8_192, 1_000), "index", POLY),
    Work("cross-entropy", SEGMENTATION, "index", CROSS_ENTROPY),
    Work("focal", SEGMENTATION, "index", FOCAL),
    Work("cross-entropy", (64, 10), "index", CROSS_ENTROPY),
)


def inputs(work: Work) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(work.shape, requires_grad=True)
    if work.target == "multi-hot":
        return logits, (torch.rand(work.shape) < 0.05).float()
    positions = work.shape[:1] + work.shape[2:]
    return logits, torch.randint(0, work.shape[1], positions)


def step(loss: Loss, logits: Tensor, target: Tensor) -> float:
    value = loss(logits, target)
    torch.autograd.grad(value, logits)
    return value.item()


def times(work: Work, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median milliseconds and the loss of each library."""
    logits, target = inputs(work)
    losses = {name: build() for name, build in work.losses.items()}
    values = {name: step(loss, logits, target) for name, loss in losses.items()}
    calls = 200 if logits.numel() < 10_000 else 1  # a clock read per call would show
    spent: dict[str, list[float]] = {name: [] for name in losses}
    for _ in range(rounds):
        for name, loss in losses.items():
            start = time.perf_counter()
            for _ in range(calls):
                step(loss, logits, target)
            spent[name].append((time.perf_counter() - start) / calls * 1e3)
    return {name: statistics.median(found) for name, found in spent.items()}, values


def peak_resident() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def measure_memory(work: Work, name: str) -> float:
    """Growth of the peak resident set in one step, in multiples of the logits. Linux only."""
    logits, target = inputs(work)
    loss = work.losses[name]()
    small = (slice(0, 2),)
    step(loss, logits.detach()[small].requires_grad_(), target[small])  # load what loads lazily
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = peak_resident()
    step(loss, logits, target)
    return (peak_resident() - before) * 1024 / (logits.numel() * logits.element_size())


def memory_in_fresh_process(work: Work, name: str, threads: int) -> float:
    command = [sys.executable, __file__, "--cell", str(WORKS.index(work)), name]
    command += ["--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", help="rows whose name contains this")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.cell:
        print(measure_memory(WORKS[int(options.cell[0])], options.cell[1]))
        return
    libraries = ("torch", "torchvision", "timm", "kornia")
    versions = ", ".join(f"{name} {version(name)}" for name in ("taylored", *libraries))
    print(f"{versions}; {options.threads} threads; float32; median of {options.rounds} rounds\n")
    print("| loss | shape | library | ms | time / ours | extra peak / logits | loss |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    figures = []
    for work in WORKS:
        if options.only and options.only not in work.name:
            continue
        found, values = times(work, options.rounds)
        shape = " x ".join(map(str, work.shape))
        for name, milliseconds in found.items():
            ratio = milliseconds / found["taylored"]
            big = torch.Size(work.shape).numel() > 1_000_000
            memory = memory_in_fresh_process(work, name, options.threads) if big else None
            shown = "-" if memory is None else f"{memory:.1f}"
            print(
                f"| {work.name} | {shape} | {name} | {milliseconds:.3g} | {ratio:.2f} | {shown} "
                f"| {values[name]:.6f} |",
                flush=True,
            )
            figures.append(
                {"loss": work.name, "shape": work.shape, "library": name}
                | {"ms": milliseconds, "ratio": ratio, "extra_peak": memory, "value": values[name]}
            )
    if options.json:
        options.json.write_text(json.dumps({"versions": versions, "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
