"""How large a block of the torch sweep should be, and from which size on blocks are worth it.

    python benchmarks/blocks.py                 # two tables and the two choices, as Markdown
    python benchmarks/blocks.py --rounds 3 --threads 1 --clock cpu

The first table times forward and backward for `BLOCK_ELEMENTS` from 2^14 to 2^20, with each number
of threads; every size takes its turn in each round, and medians are shown relative to the best of
the row. The choice is the size with the smallest mean over the rows. The second table does the same
for one block against one expression, over small batches; the choice is the smallest size from which
on the block is faster in the mean over the losses.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

import taylored
from taylored.core.engine import blocked, executors

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SIZES = tuple(1 << bits for bits in range(14, 21))
SMALL = tuple(1 << bits for bits in range(9, 18))
SIGMOID = 'focal(gamma=2, link="sigmoid", alpha=0.25)'
WORKS = (
    (SIGMOID, (50_000, 80)),
    ("cross_entropy", (65_536, 100)),
    ("focal(gamma=2)", (8_192, 1_000)),
    ("cross_entropy(label_smoothing=0.1)", (8_192, 1_000)),
    ("cross_entropy", (2, 21, 512, 512)),
)
SMALL_WORKS = (SIGMOID, "cross_entropy", "focal(gamma=2)", "cross_entropy(label_smoothing=0.1)")
SMALL_CLASSES = 32
Step = Callable[[], object]


def step(text: str, shape: tuple[int, ...]) -> Step:
    """Forward and backward on logits of that shape."""
    torch.manual_seed(0)
    loss, logits = taylored.get(text), torch.randn(shape, requires_grad=True)
    target: Tensor = torch.randint(0, shape[1], shape[:1] + shape[2:])
    if "sigmoid" in text:
        target = (torch.rand(shape) < 0.05).float()
    return lambda: torch.autograd.grad(loss(logits, target), logits)


def milliseconds(run: Step, clock: str, calls: int) -> float:
    start = CLOCKS[clock]()
    for _ in range(calls):
        run()
    return (CLOCKS[clock]() - start) / calls * 1e3


def medians(contestants: dict[str, Step], rounds: int, clock: str, calls: int) -> list[float]:
    """Of each contestant; they take turns."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for count in range(rounds + 1):
        for name, run in contestants.items():
            found = milliseconds(run, clock, calls)
            if count:  # the first round warms up
                spent[name].append(found)
    return [statistics.median(found) for found in spent.values()]


def with_blocks_of(size: int, run: Step) -> Step:
    def patched() -> object:
        with mock.patch.object(blocked, "BLOCK_ELEMENTS", size):
            return run()

    return patched


def asking(name: str, run: Step) -> Step:
    def patched() -> object:
        with executors.only(name), mock.patch.object(blocked, "LEAST_ELEMENTS", 0):
            return run()

    return patched


def block_sizes(threads: list[int], rounds: int, clock: str) -> int:
    """The table of block sizes, and the best of them."""
    print("| loss | shape | threads | best, ms | " + " | ".join(f"2^{bits(s)}" for s in SIZES), "|")
    print("| --- | --- | ---: | ---: | " + "---: | " * len(SIZES))
    ratios = []
    for text, shape in WORKS:
        run = asking("blocked", step(text, shape))
        for count in threads:
            torch.set_num_threads(count)
            turns = {str(size): with_blocks_of(size, run) for size in SIZES}
            found = medians(turns, rounds, clock, 1)
            ratios.append([each / min(found) for each in found])
            shown = " | ".join(f"{ratio:.2f}" for ratio in ratios[-1])
            written = " x ".join(map(str, shape))
            print(f"| {text} | {written} | {count} | {min(found):.3g} | {shown} |", flush=True)
    means = [statistics.mean(column) for column in zip(*ratios, strict=True)]
    return SIZES[means.index(min(means))]


def least_size(rounds: int, clock: str) -> int:
    """The table of small batches, and the size from which on a block is the better choice."""
    print("\ntime of one expression / time of one block, on one thread\n")
    print("| loss | " + " | ".join(f"2^{bits(size)}" for size in SMALL), "|")
    print("| --- | " + "---: | " * len(SMALL))
    torch.set_num_threads(1)
    table = []
    for text in SMALL_WORKS:
        ratios = []
        for size in SMALL:
            run = step(text, (size // SMALL_CLASSES, SMALL_CLASSES))
            turns = {name: asking(name, run) for name in ("whole", "blocked")}
            whole, blocked = medians(turns, rounds, clock, max(4, (1 << 17) // size))
            ratios.append(whole / blocked)
        table.append(ratios)
        print(f"| {text} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios), "|", flush=True)
    means = [statistics.geometric_mean(column) for column in zip(*table, strict=True)]
    slower = [size for size, mean in zip(SMALL, means, strict=True) if mean < 1.0]
    return slower[-1] * 2 if slower else SMALL[0]


def bits(size: int) -> int:
    return size.bit_length() - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    print(f"torch {torch.__version__}; float32; {options.clock} time; {options.rounds} rounds\n")
    best = block_sizes(options.threads, options.rounds, options.clock)
    least = least_size(options.rounds, options.clock)
    print("\n| constant | here | in the package |\n| --- | ---: | ---: |")
    print(f"| BLOCK_ELEMENTS | 2^{bits(best)} | 2^{bits(blocked.BLOCK_ELEMENTS)} |")
    print(f"| LEAST_ELEMENTS | 2^{bits(least)} | 2^{bits(blocked.LEAST_ELEMENTS)} |")


if __name__ == "__main__":
    main()
