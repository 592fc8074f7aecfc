"""What the outputs mean: NLL and ECE of every loss, read plainly and by `posterior`.

    python benchmarks/calibration.py                       # the table, as Markdown
    python benchmarks/calibration.py --folds 3 --epochs 8 --only focal

On the stroke types of kanji (`taylored.lab`), for the losses that `taylored compare` runs by
default and a few more: an MLP, AdamW, cosine decay, the folds of the lab. "Plain" is the softmax
of the outputs, or their sigmoids scaled to sum 1, as everybody reads them; "posterior" is that of
the loss for the class distribution of the training data. Numbers are those of the test part at the
last epoch, as means over the folds. Each fold has its own weights and batches, the same for all
losses.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch
from tables import table
from torch import Tensor
from torch.nn.functional import logsigmoid

from taylored import Loss, catalog
from taylored.lab.data import Dataset, load
from taylored.lab.measures import Tested, calibration
from taylored.lab.run.problem import Problem
from taylored.lab.tasks import TASKS
from taylored.lab.trial.models import build_model, predict_share
from taylored.lab.trial.train import Parts, make_parts

MORE = (
    "focal(gamma=0.5)",
    "poly(epsilon=-0.9)",
    "logit_adjusted(tau=1)",
    "generalized_cross_entropy(q=0.7)",
    "cross_entropy(label_smoothing=0.1)",
    'focal(gamma=2, link="sigmoid", alpha=0.25)',
    "asymmetric_single_label",
)
RATE, BATCH, SEED = 3e-3, 256, 0


def trained(text: str, parts: Parts, classes: int, epochs: int, seed: int) -> tuple[Loss, Tensor]:
    """The loss after a training, and the outputs of the model for the test part."""
    x, y = parts.train.features, parts.train.labels
    counts = torch.bincount(y, minlength=classes).tolist()
    loss = catalog.get(text, counts=counts if catalog.needs(text) else None)
    torch.manual_seed(seed)
    model = build_model("mlp", x.shape[1:], classes, head=catalog.head(text))
    if loss.link == "sigmoid":
        predict_share(model, 1.0 / classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = len(y) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        model.train()
        loss.train().set_progress(epoch / epochs)
        for batch in torch.randperm(len(y), generator=generator)[: steps * BATCH].split(BATCH):
            optimizer.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return loss.eval(), model.eval()(parts.test.features)


def measured(loss: Loss, outputs: Tensor, labels: Tensor) -> tuple[float, float, float, float]:
    """NLL and ECE in points of the plain reading, and of the posterior."""
    found: list[float] = []
    for prior in (None, "train"):
        logits = loss.logits(outputs, prior=prior)
        scores = logits if loss.link == "softmax" else logsigmoid(logits)
        log_p = torch.log_softmax(scores.double(), dim=1)[None]
        tested = Tested(log_p, labels.numpy(), np.zeros((1, len(labels)), np.int64), log_p)
        nll = float(-log_p[0].gather(1, labels[:, None]).mean())
        found += [nll, 100 * calibration(tested).observed]
    nll, ece, posterior_nll, posterior_ece = found
    return nll, ece, posterior_nll, posterior_ece


def row(text: str, data: Dataset, problem: Problem, folds: int, epochs: int) -> list[str]:
    """One line of the table: means over the folds."""
    each = []
    for seed in range(folds):
        parts = make_parts(data.features, data.labels, problem.part(0, seed))
        loss, outputs = trained(text, parts, len(data.class_names), epochs, seed)
        each.append(measured(loss, outputs, parts.test.labels))
    nll, ece, better_nll, better_ece = (
        statistics.fmean(values) for values in zip(*each, strict=True)
    )
    return [f"`{text}`", f"{nll:.3f}", f"{ece:.1f}", f"{better_nll:.3f}", f"{better_ece:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Plain softmax against posterior.")
    parser.add_argument("--folds", type=int, default=3, choices=range(1, 6))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", default="", help="losses whose text contains this")
    given = parser.parse_args()
    data = load("kanjivg-strokes")
    problem = Problem.draw(data, seed=SEED, repeats=1)
    rows = [
        row(text, data, problem, given.folds, given.epochs)
        for text in (*TASKS["single-label"].losses, *MORE)
        if given.only in text
    ]
    header = ["loss", "NLL, plain", "ECE", "NLL, posterior", "ECE"]
    print(table(header, rows, left=1))


if __name__ == "__main__":
    main()
