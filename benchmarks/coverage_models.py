"""Many small models at once on data sets drawn from a population, for coverage.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import taylored
from taylored.lab import data, measures

FOLDS = 5
WIDTH = 32
FEATURES = 64  # of images, by principal components
RATE = 0.01
BATCH = 128

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Population:
    """All rows that data sets are drawn from; the last one of `losses` is the baseline again."""

    features: Tensor
    labels: np.ndarray
    groups: tuple[data.Group, ...]
    rows: int

    @property
    def many(self) -> bool:
        """Whether a row has any number of labels."""
        return self.labels.ndim == 2

    @property
    def classes(self) -> int:
        """Classes or labels."""
        return len(self.groups)

    def losses(self) -> dict[str, Loss]:
        """What is compared, the baseline first; in the end the baseline with other trainings."""
        if self.many:
            bce = taylored.BinaryCrossEntropyLoss()
            focal = taylored.FocalLoss(gamma=2, link="sigmoid")
            return {"bce": bce, "focal": focal, "asymmetric": taylored.AsymmetricLoss(), "A/A": bce}
        counts = self.counts().tolist()
        cross_entropy = taylored.CrossEntropyLoss()
        return {
            "cross_entropy": cross_entropy,
            "balanced_softmax": taylored.BalancedSoftmaxLoss(counts=counts),
            "focal": taylored.FocalLoss(gamma=2),
            "logit_adjusted": taylored.LogitAdjustedLoss(counts=counts, tau=0.5),
            "A/A": cross_entropy,
        }

    def counts(self) -> np.ndarray:
        """Rows of each class in a data set."""
        share = self.rows / len(self.labels)
        return np.round(np.bincount(self.labels) * share).astype(int)


def population(name: str, rows: int, smallest: int) -> Population:
    """A built-in data set with the classes that have `smallest` rows in a data set of `rows`."""
    found = data.load(name)
    features = torch.from_numpy(found.features.reshape(len(found.features), -1)).float()
    if features.shape[1] > FEATURES:
        centred = features - features.mean(0)
        axes = torch.linalg.eigh(centred.T @ centred).eigenvectors
        features = centred @ axes[:, -FEATURES:]
    features = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    labels = found.labels
    kept = np.flatnonzero(found.class_counts * rows / len(labels) >= smallest)
    if labels.ndim == 2:
        labels = np.ascontiguousarray(labels[:, kept])
        counts = labels.sum(0) * rows // len(labels)
    else:
        inside = np.isin(labels, kept)
        features, labels = features[torch.from_numpy(inside)], labels[inside]
        labels = np.searchsorted(kept, labels)
        counts = np.round(np.bincount(labels) * rows / len(labels)).astype(int)
        rows = int(counts.sum())
    return Population(features, labels, data.class_groups(counts * 3 // 5), rows)


def draw(people: Population, rng: np.random.Generator, fresh: int) -> list[np.ndarray]:
    """Rows of one data set, and of `fresh` further ones that share none with it.

    Data sets of one class per row have the proportions of the population, sorted by class.
    """
    if people.many:
        order = rng.permutation(len(people.labels))
        rest = order[people.rows :]
        return [order[: people.rows], *(rng.choice(rest, people.rows, False) for _ in range(fresh))]
    found: list[list[np.ndarray]] = [[] for _ in range(fresh + 1)]
    for label, count in enumerate(people.counts()):
        order = rng.permutation(np.flatnonzero(people.labels == label))
        found[0].append(order[:count])
        for other in found[1:]:
            other.append(rng.choice(order[count:], count, replace=False))
    return [np.concatenate(rows) for rows in found]


def deal(people: Population, rng: np.random.Generator) -> np.ndarray:
    """The fold of each row of a data set, class by class from a random fold on."""
    if people.many:
        return rng.permutation(people.rows) % FOLDS
    counts = people.counts()
    first = rng.integers(FOLDS, size=len(counts))
    return np.concatenate(
        [(rng.permutation(n) + start) % FOLDS for n, start in zip(counts, first, strict=True)]
    )


@dataclass(frozen=True)
class Models:
    """One hidden layer for each of R times K models."""

    parameters: list[Tensor]

    def __call__(self, features: Tensor) -> Tensor:
        """Logits of every model, (M, B, C), for features (M, B, D) or (B, D)."""
        first, bias, second, other = self.parameters
        hidden = (features @ first + bias).relu()
        return hidden @ second + other

    def of(self, number: int) -> Models:
        """One model."""
        return Models([tensor[number] for tensor in self.parameters])

    def repeat(self, number: int) -> Models:
        """The models of one repeat."""
        part = slice(number * FOLDS, (number + 1) * FOLDS)
        return Models([tensor[part] for tensor in self.parameters])


def train(
    people: Population, rows: np.ndarray, folds: np.ndarray, loss: Loss, seed: int, steps: int
) -> Models:
    """Models for all repeats and folds; fold k + 1 is left out as compare leaves out validation."""
    generator = torch.Generator().manual_seed(seed)
    features, labels = people.features[rows], torch.from_numpy(people.labels[rows])
    labels = labels.float() if people.many else labels.long()
    count, inputs = folds.shape[0] * FOLDS, features.shape[1]

    def start(*shape: int) -> Tensor:
        bound = 1 / math.sqrt(shape[0])
        drawn = torch.rand(count, *shape, generator=generator)
        return ((2 * drawn - 1) * bound).requires_grad_()

    zeros = [torch.zeros(count, 1, n, requires_grad=True) for n in (WIDTH, people.classes)]
    models = Models([start(inputs, WIDTH), zeros[0], start(WIDTH, people.classes), zeros[1]])
    left_out = [(folds[r] == k) | (folds[r] == (k + 1) % FOLDS) for r, k in _models(folds)]
    training = [torch.from_numpy(np.flatnonzero(~part)) for part in left_out]
    optimizer = torch.optim.AdamW(models.parameters, lr=RATE, weight_decay=0.01, fused=True)
    orders: list[Tensor] = []
    batches = min(len(part) for part in training) // BATCH
    for step in range(steps):
        if step % batches == 0:
            orders = [part[torch.randperm(len(part), generator=generator)] for part in training]
        place = step % batches * BATCH
        batch = torch.stack([order[place : place + BATCH] for order in orders])
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        logits, target = models(features[batch]), labels[batch]
        # The mean over all models; AdamW does not see that each gradient is a fraction of its own.
        value = loss(logits.flatten(0, 1), target.flatten(0, 1))
        optimizer.zero_grad()
        (value * count).backward()
        optimizer.step()
    return Models([tensor.detach() for tensor in models.parameters])


def test(
    people: Population, models: Models, rows: np.ndarray, folds: np.ndarray
) -> measures.Tested:
    """What the models of each repeat and fold say about a data set."""
    features = people.features[rows]
    scores = torch.empty(len(folds), len(rows), people.classes)
    for number, (repeat, fold) in enumerate(_models(folds)):
        inside = torch.from_numpy(folds[repeat] == fold)
        scores[repeat, inside] = models.of(number)(features[inside])
    return measures.Tested(scores, people.labels[rows], folds)


def _models(folds: np.ndarray) -> list[tuple[int, int]]:
    return [(r, k) for r in range(len(folds)) for k in range(FOLDS)]
