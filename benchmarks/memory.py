"""Peak memory of a step: growth of the peak resident set, a fresh process for each contestant.

The step runs once before it is measured, which loads and compiles what has to be; freed memory is
given back to the system in between. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from peers import Loss
from timing import step
from torch import Tensor
from works import RACES, Contestant, Race

SUPPORTED = Path("/proc/self/clear_refs").exists()


def resident(field: str) -> int:
    """Bytes resident now ("VmRSS") or at most so far ("VmHWM")."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def growth(work: Callable[[], object]) -> int:
    """Bytes by which the peak grows while something runs."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmHWM")
    work()
    return resident("VmHWM") - before


def of_step(loss: Loss, logits: Tensor, target: Tensor) -> int:
    """Bytes that a step needs beyond logits and target; its gradient is among them."""
    step(loss, logits, target)
    return growth(lambda: step(loss, logits, target))


def in_fresh_process(race: Race, contestant: Contestant, threads: int) -> float | None:
    """Extra peak in multiples of the logits; None, and a line about it, where that fails."""
    cell = [str(RACES.index(race)), contestant.loss, contestant.library, contestant.how]
    command = [sys.executable, __file__, *cell, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.splitlines()[-1:]
        print(f"memory of {contestant.loss}, {race.label()}, {contestant}: {last}", flush=True)
        return None
    return float(done.stdout.splitlines()[-1])


def of_all(
    race: Race, contestants: Sequence[Contestant], threads: int
) -> dict[Contestant, float | None]:
    """Of every contestant, two processes at a time: memory does not depend on the clock."""
    if race.small or not SUPPORTED:
        return {}
    with ThreadPoolExecutor(2) as pool:
        peaks = pool.map(lambda each: in_fresh_process(race, each, threads), contestants)
        return dict(zip(contestants, peaks, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="One cell, for losses.py.")
    for name in ("race", "loss", "library", "how", "threads"):
        parser.add_argument(name)
    options = parser.parse_args()
    torch.set_num_threads(int(options.threads))
    race = RACES[int(options.race)]
    contestant = Contestant(options.loss, options.library, options.how)
    loss = contestant.build()
    if contestant.how == "compiled":
        loss = torch.compile(loss, dynamic=False)
    with contestant.asked():
        print(of_step(loss, *race.inputs()) / (race.elements * 4))


if __name__ == "__main__":
    main()
