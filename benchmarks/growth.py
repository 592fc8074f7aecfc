"""How time and memory of a training step grow with positions and with classes.

    python benchmarks/growth.py --json growth.json              # a few minutes; the exponents
    python benchmarks/growth.py --json growth.json --plots docs # and the pictures
    python benchmarks/growth.py --draw growth.json --plots docs # the pictures again

One panel per family (softmax Poly-1, sigmoid focal, a linear head of width 128 with cross-entropy)
and axis. The exponent is the slope in the log-log picture between the two largest sizes: 1 is
linear, 2 would be quadratic. Time as in losses.py (turns, lowest decile); memory in one fresh
process per curve, growth of the peak resident set.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from curves import SIZES, Axis, Curve, Family, curves
from figures import environment
from growth_plot import draw, exponent_table
from memory import SUPPORTED, growth
from timing import CLOCKS, Runner, peers_at_their_best, take_turns
from works import available

VISIBLE = 100_000  # logits; less is lost among the pages of the process


def times(found: list[Curve], shape: tuple[int, int], clock: str, seconds: float) -> list[float]:
    """Lowest deciles in milliseconds, of 3 to 15 rounds, as many as fit into the seconds."""
    runners = [Runner(curve.step(shape), curve.asked) for curve in found]
    once = sum(max(20.0, runner.milliseconds) for runner in runners) / 1e3
    rounds = max(3, min(15, math.floor(seconds / once)))
    return [low for low, _, _ in take_turns(runners, rounds, clock)]


def peaks(curve: Curve, axis: Axis, options: argparse.Namespace) -> list[float | None]:
    """Bytes at each size, from one fresh process."""
    cell = json.dumps([curve.family, curve.who, curve.kind, curve.executor])
    command = [sys.executable, __file__, "--cell", cell, "--axis", axis]
    command += ["--threads", str(options.threads), "--most", str(options.most)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{curve}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def print_peaks(cell: str, axis: Axis, most: float) -> None:
    """In the fresh process."""
    curve = Curve(*json.loads(cell))
    found: list[int | None] = []
    with curve.asked():
        for shape in SIZES[curve.family, axis]:
            if math.prod(shape) > most:
                continue
            if math.prod(shape) < VISIBLE or not SUPPORTED:
                found.append(None)
                continue
            step = curve.step(shape)
            step()
            found.append(growth(step))
    print(json.dumps(found))


def slope(sizes: list[int], values: Sequence[float | None]) -> float:
    """Between the two largest sizes, where the numbers outweigh the calls."""
    if len(sizes) < 2 or not values[-2] or not values[-1]:
        return float("nan")
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def panel(
    family: Family, axis: Axis, names: list[str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One record per curve. Memory in two processes at a time: it does not depend on the clock."""
    shapes = [shape for shape in SIZES[family, axis] if math.prod(shape) <= options.most]
    sizes = [shape[0 if axis == "positions" else 1] for shape in shapes]
    found = curves(family, names)
    columns = [times(found, shape, options.clock, options.seconds) for shape in shapes]
    with ThreadPoolExecutor(2) as pool:
        memory = list(pool.map(lambda curve: peaks(curve, axis, options), found))
    return [
        {"family": family, "axis": axis, "who": curve.who, "kind": curve.kind}
        | {"shapes": shapes, "milliseconds": spent, "bytes": occupied}
        | {"time exponent": slope(sizes, spent)}
        | {"memory exponent": slope(sizes, occupied)}
        for curve, spent, occupied in zip(found, zip(*columns, strict=True), memory, strict=True)
    ]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All panels; saved after each."""
    start = time.perf_counter()
    names = available(options.executors.split(","))
    figures = {"environment": environment(options.threads, 15, options.clock), "curves": []}
    for family, axis in SIZES:
        if options.only in f"{family}, {axis}":
            figures["curves"] += panel(family, axis, names, options)
            print(f"{family}, {axis}: {time.perf_counter() - start:.0f} s", flush=True)
            if options.json:
                options.json.write_text(json.dumps(figures, indent=1))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--seconds", type=float, default=8.0, help="for one size of a panel")
    parser.add_argument("--most", type=float, default=1e9, help="logits; leave out larger sizes")
    parser.add_argument("--only", default="", help='panels whose "family, axis" contains this')
    parser.add_argument("--executors", default="native,blocked", help="ours, by name")
    parser.add_argument("--json", type=Path, help="write the figures here, for report.py")
    parser.add_argument("--plots", type=Path, help="folder for the pictures")
    parser.add_argument("--draw", type=Path, help="measure nothing; figures of an earlier run")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--axis", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    peers_at_their_best()
    if options.cell:
        print_peaks(options.cell, options.axis, options.most)
        return
    figures = json.loads(options.draw.read_text()) if options.draw else measure(options)
    print(f"\n{exponent_table(figures['curves'])}")
    if options.plots:
        for path in draw(figures["curves"], options.plots):
            print(path)


if __name__ == "__main__":
    main()
