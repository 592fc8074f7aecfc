"""Outputs of losses on rows as cross-validation leaves them, drawn without training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from taylored.lab.data import class_groups
from taylored.lab.measures import Tested

SHARES = (0.4, 0.3, 0.15, 0.1, 0.05)
LABEL_SHARES = (0.5, 0.3, 0.2, 0.1, 0.08, 0.05)


def one_class(
    rows: int = 240, repeats: int = 2, folds: int = 5, shares=SHARES, seed: int = 0
) -> Tested:
    """One class per row, stratified folds, and scores that are right in about two of three rows."""
    rng = np.random.default_rng(seed)
    counts = np.round(np.array(shares) * rows).astype(int)
    labels = np.repeat(np.arange(len(shares)), counts)
    placed = np.array([dealt(counts, folds, rng) for _ in range(repeats)])
    signal = 1.6 * (labels[:, None] == np.arange(len(shares)))
    shared = rng.normal(size=signal.shape)
    scores = [signal + shared + 0.7 * rng.normal(size=signal.shape) for _ in range(repeats)]
    return Tested(torch.tensor(np.array(scores), dtype=torch.float32), labels, placed)


def dealt(counts: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each row, class by class, each class dealt out from a fold of its own."""
    start = rng.integers(folds, size=len(counts))
    each = [(rng.permutation(n) + first) % folds for n, first in zip(counts, start, strict=True)]
    return np.concatenate(each)


def many_labels(rows: int = 300, repeats: int = 2, folds: int = 5, seed: int = 0) -> Tested:
    """Any number of labels per row."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((rows, len(LABEL_SHARES))) < LABEL_SHARES).astype(np.int8)
    placed = np.array([rng.permutation(rows) % folds for _ in range(repeats)])
    shared = rng.normal(size=labels.shape) + 1.5 * labels - 1.5
    scores = [shared + 0.7 * rng.normal(size=labels.shape) for _ in range(repeats)]
    return Tested(torch.tensor(np.array(scores), dtype=torch.float32), labels, placed)


def groups_of(tested: Tested) -> tuple[str, ...]:
    """Head, medium and tail by rank, so that no group is empty."""
    return class_groups(np.minimum(tested.class_counts, 99).tolist())


def taken(tested: Tested, rows: np.ndarray) -> Tested:
    """Only these rows, or with repetition."""
    return replace(
        tested,
        scores=tested.scores[:, rows],
        labels=tested.labels[rows],
        folds=tested.folds[:, rows],
        log_p=None if tested.log_p is None else tested.log_p[:, rows],
    )


def only_repeat(tested: Tested, repeat: int) -> Tested:
    """One repeat alone."""
    part = slice(repeat, repeat + 1)
    return replace(tested, scores=tested.scores[part], folds=tested.folds[part], log_p=None)
