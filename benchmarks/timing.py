"""Time of forward and backward, all contestants of a race in turns.

Other work on the machine can only add to a time, so the lowest decile over the rounds is what is
compared. Tried on a machine kept busy by others: between batches of 15 rounds its ratios moved half
as much as those of medians and a third as much as those of means; the minimum is no steadier, and
is one lucky round. Median and highest decile are kept beside it.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from peers import Loss
from torch import Tensor
from works import Contestant, Race

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
TURN_SECONDS = 0.02
AGREEMENT = 1e-4
Deciles = tuple[float, float, float]


def peers_at_their_best() -> str:
    """Bring torch's log1p to its full speed, and say what that changed.

    Binary cross-entropies of other libraries live on it. On the machine of docs/speed.md it is slow
    in a new process until lgamma has run once, and fast for the rest of its life. The reason is
    unknown, and nobody's merit.
    """
    numbers = torch.rand(1 << 20)

    def nanoseconds() -> float:
        start = time.perf_counter()
        torch.log1p(numbers)
        return (time.perf_counter() - start) / numbers.numel() * 1e9

    before = min(nanoseconds() for _ in range(5))
    torch.lgamma(torch.ones(64))
    after = min(nanoseconds() for _ in range(5))
    return f"torch's log1p: {before:.2f} ns per element in a new process, {after:.2f} after lgamma"


class Runner:
    """Something to time, warmed up. A turn repeats it until the clock can see it."""

    def __init__(
        self, work: Callable[[], object], asked: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._work = work
        self._asked = asked
        self._calls = 1
        self.turn(time.perf_counter)
        self.milliseconds = self.turn(time.perf_counter)
        self._calls = max(1, min(2_000, round(TURN_SECONDS * 1e3 / self.milliseconds)))

    def turn(self, clock: Callable[[], float]) -> float:
        """Milliseconds of one call."""
        with self._asked():
            start = clock()
            for _ in range(self._calls):
                self._work()
            return (clock() - start) / self._calls * 1e3


def take_turns(runners: Sequence[Runner], rounds: int, clock: str) -> list[Deciles]:
    """Lowest, median and highest decile over the rounds, for each."""
    spent: list[list[float]] = [[] for _ in runners]
    order = list(range(len(runners)))
    shuffled = random.Random(0)  # noqa: S311 - whoever ran before leaves its data in the cache
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        shuffled.shuffle(order)
        for index in order:
            spent[index].append(runners[index].turn(CLOCKS[clock]))
    gc.enable()
    return [deciles(found) for found in spent]


def deciles(values: Sequence[float]) -> Deciles:
    if len(values) == 1:
        return values[0], values[0], values[0]
    parts = statistics.quantiles(values, n=10, method="inclusive")
    return parts[0], parts[4], parts[8]


@dataclass(frozen=True)
class Lap:
    """What one contestant achieved.

    Attributes:
        deciles: over the rounds, of the milliseconds of one step.
        compile_seconds: until the first compiled step was done; None where nothing is compiled.
        value: the loss.
        off: the larger of the relative differences of loss and gradient (in norm) to the first
            contestant with this loss.
    """

    deciles: Deciles
    compile_seconds: float | None
    value: float
    off: float


def step(loss: Loss, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
    value = loss(logits, target)
    if not value.requires_grad:  # the floor
        return value, None
    return value, torch.autograd.grad(value, logits)[0]


def start_compiler() -> float:
    """Seconds that the first compilation of a process costs whatever it compiles."""
    start = time.perf_counter()
    x = torch.zeros(8, requires_grad=True)
    torch.compile(lambda x: x.exp().sum())(x).backward()
    return time.perf_counter() - start


def run(
    race: Race, contestants: Sequence[Contestant], rounds: int, clock: str
) -> dict[Contestant, Lap]:
    """Everybody's first step, for compile time and answer; then the turns.

    A contestant that fails is reported and left out: the others are still worth measuring.
    """
    torch.compiler.reset()  # or one shape after the other would make sizes dynamic
    logits, target = race.inputs()
    runners: list[Runner] = []
    answers: dict[Contestant, tuple[float | None, float, float]] = {}
    references: dict[str, tuple[float, Tensor]] = {}
    for contestant in contestants:
        try:
            loss, seconds, value, gradient = _first(contestant, logits, target)
        except Exception as error:  # whatever a library may throw
            print(f"{contestant.loss}, {race.label()}, {contestant}: {error!r}", flush=True)
            continue
        number, off = float("nan"), 0.0
        if gradient is not None:
            number = value.item()
            reference, slope = references.setdefault(contestant.loss, (number, gradient))
            away = (gradient - slope).norm() / slope.norm()
            off = max(abs(number / reference - 1), away.item())
        answers[contestant] = (seconds, number, off)
        runners.append(Runner(_bound(loss, logits, target), contestant.asked))
    references.clear()
    found = take_turns(runners, rounds, clock)
    return {
        contestant: Lap(each, *answer)
        for each, (contestant, answer) in zip(found, answers.items(), strict=True)
    }


def _first(
    contestant: Contestant, logits: Tensor, target: Tensor
) -> tuple[Loss, float | None, Tensor, Tensor | None]:
    """The loss, seconds to compile it, and its first answer."""
    loss = contestant.build()
    if contestant.how != "compiled":
        with contestant.asked():
            return loss, None, *step(loss, logits, target)
    loss = torch.compile(loss, dynamic=False, fullgraph=contestant.library == "taylored")
    start = time.perf_counter()
    value, gradient = step(loss, logits, target)
    return loss, time.perf_counter() - start, value, gradient


def _bound(loss: Loss, logits: Tensor, target: Tensor) -> Callable[[], object]:
    return lambda: step(loss, logits, target)
