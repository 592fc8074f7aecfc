"""How the cost of everything grows with the number of classes, and with the number of positions.

    python benchmarks/classes.py                      # the tables, as Markdown
    python benchmarks/classes.py --only seesaw --most 100000

Microseconds of CPU on one thread, the fastest of three, from 10^2 classes (or positions) up; the
exponent is that of the last tenfold step, where constants have vanished: 1 is linear, 2 quadratic.
Losses: forward and backward, 8 positions by C classes, then N positions by 8 classes. The rest of
the package's work per class has rows of its own. An exponent above 1.3 is marked.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import taylored
from taylored import catalog

MARK = 1.3
FEW = 8
Job = Callable[[], object]


def fastest(job: Job) -> float:
    found = []
    for _ in range(3):
        start = time.process_time()
        job()
        found.append(time.process_time() - start)
    return min(found)


def counts_of(classes: int) -> Tensor:
    return (1000 / torch.arange(1, classes + 1) ** 0.5).ceil().long()


def build(name: str, classes: int) -> Callable[..., Tensor]:
    """The loss in its first example, or bare where that has numbers for the example's classes."""
    spec = catalog.SPECS[name]
    inner = "(cross_entropy)" if spec.inner != "none" and name != "softmax_eql" else ""
    text = "taylor(num_terms=3)" if name == "taylor" else name + inner
    counts = counts_of(classes) if "counts" in catalog.needs(text) else None
    samples = 1000 if counts is not None else None
    return catalog.get(text, counts=counts, num_classes=classes, num_samples=samples)


def step(name: str, positions: int, classes: int) -> Job:
    loss, call = build(name, classes), catalog.SPECS[name].call
    shape = (2, positions, classes) if call == "stacked" else (positions, classes)
    logits = torch.randn(shape, requires_grad=True)
    target = torch.randint(classes, (positions,))
    if name == "distribution_focal":
        target = target.float() * 0.5
    arguments = [logits, target]
    if "index" not in catalog.SPECS[name].targets and call == "plain":
        arguments[1] = (torch.rand(shape) < 0.1).float()
    if call == "features":
        arguments.append(torch.randn(positions, 16))
    return lambda: torch.autograd.grad(loss(*arguments), logits)


def weights(classes: int) -> Job:
    counts = counts_of(classes)
    return lambda: taylored.effective_number_weights(counts, 0.999)


def counted(classes: int) -> Job:
    labels = torch.arange(8 * classes) % classes
    return lambda: taylored.class_counts(labels)


def watched(classes: int) -> Job:
    loss = taylored.GradientRatio(taylored.FocalLoss(), num_classes=classes)
    logits, target = torch.randn(FEW, classes, requires_grad=True), torch.arange(FEW) % classes
    return lambda: (loss(logits, target), loss.scalars())


def written(classes: int) -> Job:
    loss = catalog.get("focal(gamma=2)")
    loss.register_buffer("weight", torch.rand(classes))
    return lambda: repr(loss)


def read(classes: int) -> Job:
    text = f"class_balanced(cross_entropy, counts={counts_of(classes).tolist()})"
    return lambda: catalog.get(text)


def refused(classes: int) -> Job:
    from taylored.lab.trial.check_loss import check_loss

    loss = taylored.FocalLoss()
    return lambda: check_loss("focal", loss, classes, "single-label")


def measured(task: str) -> Callable[[int], Job]:
    def prepare(classes: int) -> Job:
        from taylored.lab.measures import Tested, measure
        from taylored.lab.measures.class_scores import class_scores
        from taylored.lab.tasks import TASKS

        groups = ["head", "medium", "tail"] * (classes // 3 + 1)
        labels = torch.arange(FEW) % classes
        if task == "multi-label":
            labels = torch.nn.functional.one_hot(labels, classes).to(torch.int8)
        folds = np.zeros((1, FEW), np.int64)

        def job() -> object:
            tested = Tested(torch.randn(1, FEW, classes), labels.numpy(), folds)
            return measure(tested, groups[:classes], TASKS[task].metrics), class_scores(tested)

        return job

    return prepare


def problem(classes: int) -> Job:
    from taylored.lab.data import Reading
    from taylored.lab.run import sources
    from taylored.lab.run.problem import Problem
    from taylored.lab.run.progress import Reporter

    labels = np.arange(5 * classes) % classes
    features = np.zeros((len(labels), 1), np.float32)

    def job() -> object:
        with Reporter("off") as reporter:
            dataset = sources.read((features, labels), None, Reading(), reporter)
        return Problem.draw(dataset, seed=0, repeats=1)

    return job


OTHERS: dict[str, Callable[[int], Job]] = {
    "effective_number_weights": weights,
    "counts, from 8 labels a class": counted,
    "GradientRatio, focal, and its scalars": watched,
    "repr of a loss with a weight per class": written,
    "catalog.get with counts in the string": read,
    "lab: check of a loss": refused,
    "lab: metrics, one class per sample": measured("single-label"),
    "lab: metrics, many labels": measured("multi-label"),
    "lab: data read and split, 5 rows a class": problem,
}


def row(name: str, jobs: dict[int, Callable[[], Job]]) -> None:
    cells, spent = [], []
    for _, prepare in sorted(jobs.items()):
        try:
            spent.append(fastest(prepare()))
            cells.append(f"{spent[-1] * 1e6:,.0f}")
        except ValueError as error:  # a limit that says so
            cells.append(str(error)[:40])
    exponent = math.log10(spent[-1] / spent[-2]) if len(spent) > 1 else math.nan
    mark = " **!**" if exponent > MARK else ""
    print(f"| {name} | {' | '.join(cells)} | {exponent:.2f}{mark} |", flush=True)


def table(title: str, sizes: list[int]) -> None:
    print(f"\n| {title} | {' | '.join(f'{size:,}' for size in sizes)} | exponent |")
    print(f"| --- |{' ---: |' * (len(sizes) + 1)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sizes = [10**n for n in range(2, 8) if 10**n <= options.most]
    names = [name for name in catalog.SPECS if options.only in name]
    table(f"{FEW} positions, classes:", sizes)
    for name in names:
        row(name, {c: lambda c=c, n=name: step(n, FEW, c) for c in sizes})
    table(f"{FEW} classes, positions:", sizes)
    for name in names:
        row(name, {n: lambda n=n, name=name: step(name, n, FEW) for n in sizes})
    table("the rest, classes:", sizes)
    for name, prepare in OTHERS.items():
        if options.only in name:
            row(name, {c: lambda c=c, p=prepare: p(c) for c in sizes})


if __name__ == "__main__":
    main()
