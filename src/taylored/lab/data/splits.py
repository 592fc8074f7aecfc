"""Folds of cross-validation, and the parts of each training: train, validation and test."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.dataset import TEST, TRAIN, VALIDATION, Dataset, Labels
from taylored.lab.data.errors import DataError
from taylored.lab.data.stratify import stratify

FOLDS: Final = 5
"""Every row is tested by one of so many models in each repeat."""


def draw_folds(dataset: Dataset, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each row, 0 .. FOLDS-1, drawn class by class.

    Within a class the sizes of two folds differ by one row at most, and a random fold gets the
    first row, so that small classes do not crowd into the first folds. For multi-label data the
    same holds nearly, as samples have several labels: see `stratify`. Rows of one group stay
    together, so that with groups the sizes hold nearly as well.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed must be an integer >= 0, got {seed!r}")
    generator = np.random.Generator(np.random.PCG64(seed))
    labels, groups = dataset.labels, dataset.groups
    if dataset.task == "multi-label":
        if groups is None:
            return _by_label(labels, generator)
        # One row stands for its group.
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        folds: npt.NDArray[np.int64] = _by_label(labels[first], generator)[group]
        return folds
    if groups is None:
        return _by_class(labels, len(dataset.class_names), generator)
    return _by_group(labels, groups, generator)


def parts_of(folds: npt.NDArray[np.int64], fold: int) -> npt.NDArray[np.int8]:
    """The part of each row when one fold is tested: the next one validates, the rest trains.

    >>> parts_of(np.array([0, 1, 2, 3, 4]), 4).tolist()
    [1, 0, 0, 0, 2]
    """
    parts = np.full(len(folds), TRAIN, dtype=np.int8)
    parts[folds == (fold + 1) % FOLDS] = VALIDATION
    parts[folds == fold] = TEST
    return parts


def _by_class(
    labels: Labels, classes: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    folds = np.empty(len(labels), dtype=np.int64)
    ends = np.cumsum(np.bincount(labels, minlength=classes))
    # Cut from one sort: a look at all labels for every class would be quadratic.
    for rows in np.split(np.argsort(labels, kind="stable"), ends[:-1]):
        # Sorting uniform draws, not `permutation`: the raw stream is what stays fixed over
        # numpy versions and word sizes.
        rows = rows[np.argsort(generator.random(len(rows)), kind="stable")]
        first = int(generator.random() * FOLDS)
        folds[rows] = (first + np.arange(len(rows))) % FOLDS
    return folds


def _by_group(
    labels: Labels, groups: npt.NDArray[np.int64], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The fold of each row, with the rows of a group in one fold.

    Class by class, the rarest first, its groups go, the largest first, to the fold that has the
    fewest rows of the class; among equal ones to the one with the fewest rows at all.
    """
    rank = generator.random(int(groups.max()) + 1)
    folds = np.full(len(labels), -1, dtype=np.int64)
    members, own = _rows_by(groups), _rows_by(labels)
    for label in np.argsort(np.bincount(labels), kind="stable").tolist():
        rows = own[label]
        waiting, sizes = np.unique(groups[rows[folds[rows] < 0]], return_counts=True)
        placed = folds[rows]
        inside = np.bincount(placed[placed >= 0], minlength=FOLDS)
        overall = np.bincount(folds[folds >= 0], minlength=FOLDS)
        for index in np.lexsort((rank[waiting], -sizes)).tolist():
            fold = int(np.lexsort((overall, inside))[0])
            folds[members[waiting[index]]] = fold
            inside[fold] += sizes[index]
            overall[fold] += len(members[waiting[index]])
    return folds


def _rows_by(numbers: npt.NDArray[np.signedinteger[Any]]) -> list[npt.NDArray[np.int64]]:
    """The rows of each number, cut from one sort."""
    ends = np.cumsum(np.bincount(numbers))
    return np.split(np.argsort(numbers, kind="stable"), ends[:-1])


def _by_label(labels: Labels, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    counts = np.array([*labels.sum(axis=0, dtype=np.int64).tolist(), len(labels)])
    offsets = (generator.random(len(counts)) * FOLDS).astype(np.int64)
    turn = (np.arange(FOLDS)[:, None] - offsets) % FOLDS
    wanted = counts // FOLDS + (turn < counts % FOLDS)
    order = np.argsort(generator.random(len(labels)), kind="stable")
    return stratify(labels, wanted[:, :-1], wanted[:, -1], order)
