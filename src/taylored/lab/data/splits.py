"""Train, validation and test parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    Rows of one group stay together, so that with groups the sizes hold nearly as well.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed must be an integer >= 0, got {seed!r}")
    parts = dataset.split
    if parts is None:
        parts = _draw_parts(dataset, seed)
    return Split(
        train=np.flatnonzero(parts == TRAIN),
        validation=np.flatnonzero(parts == VALIDATION),
        test=np.flatnonzero(parts == TEST),
    )


def _draw_parts(dataset: Dataset, seed: int) -> npt.NDArray[np.int64]:
    labels, classes, groups = dataset.labels, len(dataset.class_names), dataset.groups
    if dataset.task == "multi-label":
        if groups is None:
            return _draw_multi(labels, classes, seed)
        # One row stands for its group.
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        parts: npt.NDArray[np.int64] = _draw_multi(labels[first], classes, seed)[group]
        return parts
    return _draw(labels, classes, seed) if groups is None else _draw_groups(labels, groups, seed)


def _draw_groups(labels: Labels, groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """The part of each row, with the rows of a group in one part.

    Class by class, the rarest first, its groups are put in random order and fill test and
    validation up to a fifth each. A group that would overshoot by more than half of itself is
    passed over, unless the part would stay empty.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    rank = generator.random(int(groups.max()) + 1)
    parts = np.full(len(labels), -1, dtype=np.int64)
    members = _rows_by(groups)
    counts = np.bincount(labels)
    own = _rows_by(labels)
    for label in np.argsort(counts, kind="stable").tolist():
        rows = own[label]
        found, count = np.unique(groups[rows[parts[rows] < 0]], return_counts=True)
        sizes = dict(zip(found.tolist(), count.tolist(), strict=True))
        waiting = found[np.argsort(rank[found], kind="stable")].tolist()
        for part, share in zip((TEST, VALIDATION), _held_out(int(counts[label])), strict=True):
            room = share - int(np.count_nonzero(parts[rows] == part))
            waiting = _fill(part, room, waiting, sizes, parts, members)
        for group in waiting:
            parts[members[group]] = TRAIN
    return parts


def _fill(
    part: int,
    room: int,
    waiting: list[int],
    sizes: Mapping[int, int],
    parts: npt.NDArray[np.int64],
    members: list[npt.NDArray[np.int64]],
) -> list[int]:
    """Put groups into a part as long as there is room; those that still wait."""
    wanted, rest = room, []
    for group in waiting:
        if room > 0 and 2 * room >= sizes[group]:
            parts[members[group]] = part
            room -= sizes[group]
        else:
            rest.append(group)
    if room == wanted > 0 and len(rest) > 1:  # all too large: the smallest, training keeps one
        smallest = min(rest, key=lambda group: sizes[group])
        parts[members[smallest]] = part
        rest.remove(smallest)
    return rest


def _rows_by(numbers: npt.NDArray[np.signedinteger[Any]]) -> list[npt.NDArray[np.int64]]:
    """The rows of each number, cut from one sort."""
    ends = np.cumsum(np.bincount(numbers))
    return np.split(np.argsort(numbers, kind="stable"), ends[:-1])


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
