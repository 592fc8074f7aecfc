"""A loss on features times weight: time and peak memory of forward and backward, without logits.

    python benchmarks/linear.py                  # the tables, as Markdown
    python benchmarks/linear.py --chunks         # rows per chunk: what the constants are chosen by
    python benchmarks/linear.py --curve          # time against memory, beside torch's chunks
    python benchmarks/linear.py --threads 1 --clock cpu      # on a machine that is busy

Time: all contestants take turns in one process, round by round; the median, and its ratio to
F.linear and F.cross_entropy. Memory: one fresh process per contestant; growth of the peak resident
set over the state just before the step, gradients included (Linux only).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import taylored
from taylored.core.engine.linear import sizes

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
TIMED = (4096, 512, 32_000)
WIDE = (1024, 128, 1_000_000)
"""Where the logits would take 4 GB, and a naive step several times that."""
BASE = "F.linear + F.cross_entropy"


def naive_cross_entropy(x: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, weight), target)


def naive_poly(x: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """Poly-1 as it is usually written."""
    logits = F.linear(x, weight)
    p_t = F.softmax(logits, dim=1).gather(1, target.unsqueeze(1)).squeeze(1)
    return (F.cross_entropy(logits, target, reduction="none") + 2.0 * (1.0 - p_t)).mean()


def torch_chunked(x: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(x, weight, target, options=options)


def ours(text: str) -> Step:
    loss = taylored.get(text)
    return lambda x, weight, target: loss(taylored.LinearLogits(x, weight), target)


CONTESTANTS: dict[str, Step] = {
    BASE: naive_cross_entropy,
    "F.linear + Poly-1": naive_poly,
    "F.linear_cross_entropy": F.linear_cross_entropy,
    "F.linear_cross_entropy, chunking": torch_chunked,
    "taylored cross_entropy": ours("cross_entropy"),
    "taylored poly(epsilon=2)": ours("poly(epsilon=2)"),
}
WITHOUT_LOGITS = tuple(CONTESTANTS)[3:]
BOUNDED = ((1000, 512, 10_000), (256, 512, 100_000))
"""The largest sizes of the linear heads in docs/speed.md."""


def within(memory: int | None) -> Step:
    """Cross-entropy of ours with a bound of memory."""
    loss = taylored.CrossEntropyLoss()
    return lambda x, weight, target: loss(taylored.LinearLogits(x, weight, memory=memory), target)


def rows_alone(memory: int | None) -> Step:
    """The same by rows of all classes, however few fit."""
    work = within(memory)

    def step(x: Tensor, weight: Tensor, target: Tensor) -> Tensor:
        before, sizes.LEAST_ROWS = sizes.LEAST_ROWS, 1
        try:
            return work(x, weight, target)
        finally:
            sizes.LEAST_ROWS = before

    return step


def in_chunks(rows: int | None) -> Step:
    """That of torch, so many rows at a time."""
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=rows)
    return lambda x, weight, target: F.linear_cross_entropy(x, weight, target, options=options)


CURVE: dict[str, Step] = {
    BASE: naive_cross_entropy,
    "LinearLogits, 64 KiB": within(1 << 16),
    **{f"LinearLogits, {mib} MiB": within(mib << 20) for mib in (1, 4, 16, 64)},
    "LinearLogits as they choose": within(None),
    **{f"rows of all classes, {mib} MiB": rows_alone(mib << 20) for mib in (1, 4, 16)},
    **{f"torch, {rows} rows": in_chunks(rows) for rows in (16, 64, 256)},
    "torch as it chooses": in_chunks(None),
}


def inputs(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    count, width, classes = shape
    torch.manual_seed(0)
    weight = torch.randn(classes, width).mul_(0.05).requires_grad_()
    return torch.randn(count, width, requires_grad=True), weight, torch.randint(classes, (count,))


def step(work: Step, x: Tensor, weight: Tensor, target: Tensor) -> float:
    value = work(x, weight, target)
    torch.autograd.grad(value, (x, weight))
    return value.item()


def times(
    works: dict[str, Step], rounds: int, clock: str, shape: tuple[int, int, int] = TIMED
) -> tuple[dict[str, float], list[float]]:
    """Median seconds of each, and their losses."""
    given = inputs(shape)
    values = [step(work, *given) for work in works.values()]
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = CLOCKS[clock]()
            step(work, *given)
            spent[name].append(CLOCKS[clock]() - start)
    return {name: statistics.median(found) for name, found in spent.items()}, values


def peak_resident() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def measure_memory(shape: tuple[int, int, int], name: str) -> float:
    """Growth of the peak resident set in one step, in MB."""
    x, weight, target = inputs(shape)
    work = {**CONTESTANTS, **CURVE}[name]
    small = (x[:2].detach().requires_grad_(), weight[:8].detach().requires_grad_(), target[:2] % 8)
    step(work, *small)  # load what loads lazily
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = peak_resident()
    step(work, x, weight, target)
    return (peak_resident() - before) * 1024 / 1e6


def memory_in_fresh_process(shape: tuple[int, int, int], name: str, extra: list[str]) -> float:
    cell = [*map(str, shape), name]
    command = [sys.executable, __file__, "--cell", *cell, *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def set_rows(rows: int) -> None:
    """That many rows per chunk, whatever they take."""
    sizes.CHUNK_ROWS, sizes.SMALL_CHUNK = rows, 0
    sizes.LARGE_CHUNK = sys.maxsize


def chunks(options: argparse.Namespace) -> None:
    """Seconds and memory for other numbers of rows."""
    name = "taylored cross_entropy"
    print("| shape | rows | MB of logits | s | extra peak MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for shape, tried in ((TIMED, (64, 128, 256, 512, 1024, 2048)), (WIDE, (8, 16, 32, 64, 128))):
        given = inputs(shape)
        spent: dict[int, list[float]] = {rows: [] for rows in tried}
        for _ in range(options.rounds):
            for rows in tried:
                set_rows(rows)
                start = CLOCKS[options.clock]()
                step(CONTESTANTS[name], *given)
                spent[rows].append(CLOCKS[options.clock]() - start)
        del given
        for rows in tried:
            extra = ["--threads", str(options.threads), "--rows", str(rows)]
            memory = memory_in_fresh_process(shape, name, extra)
            size = rows * shape[2] * 4 / 1e6
            seconds = statistics.median(spent[rows])
            print(f"| {_written(shape)} | {rows} | {size:.0f} | {seconds:.2f} | {memory:.0f} |")


def _written(shape: tuple[int, int, int]) -> str:
    return " x ".join(f"{size:,}".replace(",", " ") for size in shape)


def tables(options: argparse.Namespace) -> None:
    extra = ["--threads", str(options.threads)]
    found, values = times(CONTESTANTS, options.rounds, options.clock)
    executor = "/".join(taylored.core.engine.executors.asked())
    print(
        f"taylored {taylored.__version__} ({executor}), torch {torch.__version__};"
        f" {options.threads} threads; float32; {options.clock} seconds, median of"
        f" {options.rounds} rounds\n"
    )
    print("| rows x width x classes | work | s | to naive | extra peak MB | gradients MB | loss |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for (name, seconds), value in zip(found.items(), values, strict=True):
        memory = memory_in_fresh_process(TIMED, name, extra)
        ratio = seconds / found[BASE]
        print(
            f"| {_written(TIMED)} | {name} | {seconds:.2f} | {ratio:.2f} | {memory:.0f} "
            f"| {_gradients(TIMED):.0f} | {value:.4f} |"
        )
    for name in WITHOUT_LOGITS:
        memory = memory_in_fresh_process(WIDE, name, extra)
        print(f"| {_written(WIDE)} | {name} | - | - | {memory:.0f} | {_gradients(WIDE):.0f} | - |")


def curve(options: argparse.Namespace) -> None:
    """Seconds and memory for several bounds."""
    print("| rows x width x classes | work | s | to naive | extra peak MB |")
    print("| --- | --- | ---: | ---: | ---: |")
    for shape in BOUNDED:
        found, values = times(CURVE, options.rounds, options.clock, shape)
        assert max(values) - min(values) < 1e-4, values
        for name, seconds in found.items():
            memory = memory_in_fresh_process(shape, name, ["--threads", str(options.threads)])
            ratio = f"{seconds / found[BASE]:.2f}"
            print(f"| {_written(shape)} | {name} | {seconds:.3f} | {ratio} | {memory:.0f} |")
        print(f"| {_written(shape)} | the gradients themselves | | | {_gradients(shape):.0f} |")


def _gradients(shape: tuple[int, int, int]) -> float:
    count, width, classes = shape
    return (count + classes) * width * 4 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--chunks", action="store_true", help="try other numbers of rows")
    parser.add_argument("--curve", action="store_true", help="time against memory")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.rows:
        set_rows(options.rows)
    if options.cell:
        *shape, name = options.cell
        count, width, classes = map(int, shape)
        print(measure_memory((count, width, classes), name))
    elif options.chunks:
        chunks(options)
    elif options.curve:
        curve(options)
    else:
        tables(options)


if __name__ == "__main__":
    main()
