"""Train, validation and test parts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taylored.lab.data.dataset import TEST, TRAIN, VALIDATION, Dataset, Labels
from taylored.lab.data.errors import DataError
from taylored.lab.data.stratify import stratify


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts, each in ascending order."""

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


def make_split(dataset: Dataset, seed: int) -> Split:
    """Draw 60/20/20 parts class by class; a split that came with the data is returned as it is.

    A class with at least 3 samples is in all three parts; with 2 it is in training and test,
    with 1 in training only. The sizes do not depend on the seed, so neither do training counts.
    For multi-label data the same holds nearly, as samples have several labels: see `stratify`.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed must be an integer >= 0, got {seed!r}")
    parts = dataset.split
    if parts is None:
        single = dataset.task == "single-label"
        parts = (_draw if single else _draw_multi)(dataset.labels, len(dataset.class_names), seed)
    return Split(
        train=np.flatnonzero(parts == TRAIN),
        validation=np.flatnonzero(parts == VALIDATION),
        test=np.flatnonzero(parts == TEST),
    )


def _draw(labels: Labels, classes: int, seed: int) -> npt.NDArray[np.int64]:
    generator = np.random.Generator(np.random.PCG64(seed))
    parts = np.full(len(labels), TRAIN, dtype=np.int64)
    ends = np.cumsum(np.bincount(labels, minlength=classes))
    # Cut from one sort: a look at all labels for every class would be quadratic.
    for rows in np.split(np.argsort(labels, kind="stable"), ends[:-1]):
        # Sorting uniform draws, not `permutation`: the raw stream is what stays fixed over
        # numpy versions and word sizes.
        rows = rows[np.argsort(generator.random(len(rows)), kind="stable")]
        test, validation = _held_out(len(rows))
        parts[rows[:test]] = TEST
        parts[rows[test : test + validation]] = VALIDATION
    return parts


def _draw_multi(labels: Labels, classes: int, seed: int) -> npt.NDArray[np.int64]:
    generator = np.random.Generator(np.random.PCG64(seed))
    counts = [*labels.sum(axis=0, dtype=np.int64).tolist(), len(labels)]
    held_out = np.array([_held_out(count) for count in counts])
    wanted = np.empty((3, classes + 1), dtype=np.int64)
    wanted[TEST], wanted[VALIDATION] = held_out.T
    wanted[TRAIN] = np.array(counts) - held_out.sum(axis=1)
    order = np.argsort(generator.random(len(labels)), kind="stable")
    return stratify(labels, wanted[:, :-1], wanted[:, -1], order)


def _held_out(count: int) -> tuple[int, int]:
    """Samples of one class that go to test and to validation: a fifth each, rounded."""
    if count < 3:
        return max(count - 1, 0), 0
    fifth = max(1, (count + 2) // 5)
    return fifth, fifth
