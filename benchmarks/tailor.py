"""Does a tailored loss beat tuned Poly-1, logit adjustment and adjustment after training?

    python benchmarks/tailor.py --out runs/tailor            # some twenty minutes on two cores
    python benchmarks/tailor.py --out runs/tailor --quick    # a third of the steps, three trainings

Rivals are tuned on the validation part that the tailored loss has seen, too: short trainings for
every epsilon of Poly-1 and every tau of logit adjustment, the best balanced accuracy wins. All are
then trained from scratch, five times, each with a learning rate of its own, and judged by
`lab.compare` on test rows that nothing has seen; cross-entropy and its adjustment after training
are always there.

`--cost` only measures what an epoch with learning costs against one without, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from taylored.lab.data import Dataset, load
from taylored.lab.run.budget import batch_size_for
from taylored.lab.run.problem import Problem
from taylored.lab.tasks import SINGLE_LABEL
from taylored.lab.trial.models import build_model
from taylored.lab.trial.protocol import Protocol, TrialSpec
from taylored.lab.trial.train import Parts, make_parts, train_trial
from taylored.tailor import tailor

RATE = 0.01
POLY = tuple(f"poly(epsilon={each})" for each in (-1, -0.5, 1, 2, 4, 6))
ADJUSTED = tuple(f"logit_adjusted(tau={each})" for each in (0.5, 0.75, 1, 1.25, 1.5, 2))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", default="kanjivg-strokes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--powers", type=int, default=4)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args()
    dataset = load(given.data)
    if given.cost:
        torch.set_num_threads(1)
        cost(dataset)
        return
    found = tailor(dataset, powers=given.powers, seed=given.seed)
    print(f"tailored in {found.seconds:.1f} s: {found.loss}", flush=True)
    rivals = [best(found.dataset, each, given.seed) for each in (POLY, ADJUSTED)]
    result = found.judge(rivals, budget="quick" if given.quick else "default", out=given.out)
    print(result.to_markdown())
    print(result.verdict)


def trainer(dataset: Dataset, seed: int, epochs: int) -> tuple[Protocol, Parts]:
    """The protocol of a training, and the parts."""
    problem = Problem.draw(dataset, seed=seed, repeats=1)
    parts = make_parts(dataset.features, dataset.labels, problem.part(0, 0), dataset.columns)
    protocol = Protocol(
        seed=seed,
        model="mlp",
        epochs=epochs,
        batch_size=batch_size_for(len(parts.train.labels), dataset.task),
        primary_metric=SINGLE_LABEL.default_metric,
        task=dataset.task,
        groups=problem.groups,
        folds=problem.folds,
    )
    return protocol, parts


def best(dataset: Dataset, losses: Sequence[str], seed: int) -> str:
    """The loss with the best balanced accuracy on the validation part, after short trainings."""
    protocol, parts = trainer(dataset, seed, 6)
    scores = {}
    for loss in losses:
        spec = TrialSpec(loss, "candidate", 0, 0, RATE, "third")
        trial, _ = train_trial(protocol, parts, spec)
        scores[loss] = trial.validation("balanced_accuracy") or 0.0
        print(f"  {loss}: {scores[loss]:.4f}", flush=True)
    return max(scores, key=lambda loss: scores[loss])


def cost(dataset: Dataset) -> None:
    """An epoch with learning against the barest one of cross-entropy: the least of three, in turns.

    Processor seconds, and differences of four epochs to one, so that neither other work on the
    machine nor what comes before the first step counts.
    """
    protocol, parts = trainer(dataset, 0, 1)
    plain, learning = [], []
    for _ in range(3):
        plain.append(per_epoch(lambda epochs: barest(protocol, parts, epochs)))
        learning.append(per_epoch(lambda epochs: tailor(dataset, epochs=epochs)))
    ratio = min(learning) / min(plain)
    print(f"plain {min(plain):.2f} s, with learning {min(learning):.2f} s: {ratio:.2f} times")


def per_epoch(train: Callable[[int], object]) -> float:
    """Processor seconds of an epoch."""
    marks = [time.process_time()]
    for epochs in (4, 1):
        train(epochs)
        marks.append(time.process_time())
    return (marks[1] - marks[0] - (marks[2] - marks[1])) / 3


def barest(protocol: Protocol, parts: Parts, epochs: int) -> None:
    """A training that watches and validates nothing."""
    features, labels = parts.train.features, parts.train.labels
    model = build_model(protocol.model, features.shape[1:], len(protocol.groups))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    for _ in range(epochs):
        order = torch.randperm(len(labels))
        for rows in order.split(protocol.batch_size)[: len(labels) // protocol.batch_size]:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(features[rows]), labels[rows])
            loss.item()  # every training looks whether it diverges
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    main()
