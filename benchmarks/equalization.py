"""What the state costs: equalization losses beside the same term with fixed weights or margins.

    python benchmarks/equalization.py                 # the table, as Markdown
    python benchmarks/equalization.py --rounds 51 --threads 1 --only sigmoid --executors native

Forward and backward of 8 192 x 1 000 float32 logits, on each executor. Both losses of a row go
through the same engine and give the same kind of numbers; one reads its per-class numbers from the
gradients it collects, the other has them as constants. They take turns in one process, round by
round, in rotating order. The overhead is the median over the rounds of the ratio of their times,
with its quartiles; a second fixed loss shows what the clock alone makes of such a ratio. On a
machine with other work, `--clock cpu --threads 1` counts only the time that was given to this
process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tables import table
from torch import Tensor, nn
from works import available

import taylored
from taylored import BinaryCrossEntropyLoss, FocalLoss, TermLoss, terms
from taylored.core.engine import executors

POSITIONS, CLASSES = 8_192, 1_000
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Work:
    """One row: a loss with state, the same with constants, and the kind of target."""

    name: str
    target: str
    state: Callable[[], nn.Module]
    fixed: Callable[[], nn.Module]


def ours(text: str) -> Callable[[], nn.Module]:
    return lambda: taylored.get(text, num_classes=CLASSES)


def margins() -> nn.Module:
    return TermLoss(terms.nll, logit_bias=torch.linspace(-5, 0, CLASSES))


def weighted_binary() -> nn.Module:
    weights = torch.linspace(0.1, 1, CLASSES)
    return BinaryCrossEntropyLoss(weight=weights, pos_weight=1 / weights)


def focal_per_class() -> nn.Module:
    gamma = torch.linspace(2, 10, CLASSES)
    return FocalLoss(gamma=gamma, weight=gamma / 2, alpha=0.25, link="sigmoid")


WORKS = (
    Work("softmax_eql", "index", ours("softmax_eql"), margins),
    Work("softmax_eql", "probabilities", ours("softmax_eql"), margins),
    Work("sigmoid_eql", "index", ours("sigmoid_eql"), weighted_binary),
    Work("sigmoid_eql", "multi-hot", ours("sigmoid_eql"), weighted_binary),
    Work("equalized_focal", "index", ours("equalized_focal"), focal_per_class),
    Work("equalized_focal", "multi-hot", ours("equalized_focal"), focal_per_class),
)


def inputs(work: Work, device: str) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(POSITIONS, CLASSES)
    if work.target == "index":
        # A long tail: class k about as often as 1 / (k + 1).
        target = torch.multinomial(1 / torch.arange(1.0, CLASSES + 1), POSITIONS, replacement=True)
    elif work.target == "probabilities":
        target = torch.softmax(torch.randn(POSITIONS, CLASSES), dim=1)
    else:
        target = (torch.rand(POSITIONS, CLASSES) < 0.005).float()
    return logits.to(device).requires_grad_(), target.to(device)


def milliseconds(loss: Loss, logits: Tensor, target: Tensor, clock: str) -> float:
    """Of forward and backward."""
    if logits.is_cuda:
        torch.cuda.synchronize()
    start = CLOCKS[clock]()
    torch.autograd.grad(loss(logits, target), logits)
    if logits.is_cuda:
        torch.cuda.synchronize()
    return (CLOCKS[clock]() - start) * 1e3


def measure(work: Work, rounds: int, device: str, clock: str) -> dict[str, list[float]]:
    """Times of each round of the three losses."""
    logits, target = inputs(work, device)
    losses = {"state": work.state(), "fixed": work.fixed(), "fixed again": work.fixed()}
    order = list(losses)
    spent: dict[str, list[float]] = {name: [] for name in losses}
    for each in losses.values():
        each.to(device)
        for _ in range(3):
            milliseconds(each, logits, target, clock)
    for _ in range(rounds):
        order = order[1:] + order[:1]
        for name in order:
            spent[name].append(milliseconds(losses[name], logits, target, clock))
    return spent


def overhead(times: list[float], baseline: list[float]) -> tuple[float, float, float]:
    """Median and quartiles of the ratio of each round's times, less 1."""
    ratios = [a / b - 1 for a, b in zip(times, baseline, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, middle, high


def percent(values: tuple[float, float, float]) -> str:
    low, middle, high = (100 * value for value in values)
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--executors", default="native,blocked", help="by name")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"torch {torch.__version__}; {options.device}; {options.threads} threads; {options.clock} "
        f"time; float32 {POSITIONS} x {CLASSES}; {options.rounds} rounds\n"
    )
    names = available(options.executors.split(","))
    header = ["loss", "target", "executor"]
    print(table([*header, "fixed, ms", "with state, ms", "overhead, %", "fixed again, %"], [], 3))
    rows = [(work, name) for work in WORKS if options.only in work.name for name in names]
    figures = []
    for work, name in rows:
        with executors.only(name):
            spent = measure(work, options.rounds, options.device, options.clock)
        medians = {loss: statistics.median(found) for loss, found in spent.items()}
        state = overhead(spent["state"], spent["fixed"])
        control = overhead(spent["fixed again"], spent["fixed"])
        print(
            f"| {work.name} | {work.target} | {name} | {medians['fixed']:.3g} "
            f"| {medians['state']:.3g} | {percent(state)} | {percent(control)} |",
            flush=True,
        )
        figures.append(
            {"loss": work.name, "target": work.target, "executor": name}
            | {"milliseconds": medians, "overhead": state, "control": control}
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
