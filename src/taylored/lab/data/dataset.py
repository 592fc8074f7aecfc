"""The data set that every source becomes: arrays, class names, and a card with their origin."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from taylored.lab.data.columns import Column
from taylored.lab.data.errors import DataError

Features = npt.NDArray[np.floating[Any]]
Kind = Literal["vector", "image"]
TaskName = Literal["single-label", "multi-label"]
Labels = npt.NDArray[np.signedinteger[Any]]
TRAIN: Final = 0
VALIDATION: Final = 1
TEST: Final = 2
PART_NAMES: Final = ("train", "validation", "test")
_NOTES = 24  # lines about the data on the terminal
_SHOWN = 8  # classes that were left out and are named on the terminal


@dataclass(frozen=True)
class DatasetCard:
    """Where the data come from and what was done to them.

    `dropped` lists (class name, samples) of the classes that were left out, and `dropped_reason`
    says why. For multi-label data the classes are the labels, and the size of a class is the
    number of its positives.
    """

    source: str
    licence: str
    description: str
    citation: str
    samples: int
    classes: int
    largest_class: int
    smallest_class: int
    dropped: tuple[tuple[str, int], ...] = ()
    dropped_reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features, labels and class names of one classification problem.

    With `columns` the features are those of a table, as they were read: float64, NaN where a value
    is missing, categories as positions. `encode` makes numbers of them, learnt from training rows
    alone. `groups` are numbers of rows that belong together, such as equal rows: `draw_folds` keeps
    each group in one fold. `offset` was subtracted from the features when they were read.

    Shape:
        features (N, D) for vectors or (N, channels, height, width) for images, float32; with
        `columns` (N, columns), float64;
        labels (N,), int64, 0 .. C-1, for one class per sample, or (N, C), int8, 0 or 1, for any
        number of labels per sample; split (N,), 0 train, 1 validation, 2 test, or None when
        folds are drawn by `draw_folds`; groups (N,), int64, or None; offset (D,) or None.
    """

    name: str
    features: Features = field(repr=False)
    labels: Labels = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    card: DatasetCard = field(repr=False)
    kind: Kind = "vector"
    split: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    task: TaskName = "single-label"
    columns: tuple[Column, ...] = field(default=(), repr=False)
    groups: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    offset: npt.NDArray[np.float64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        rows = len(self.features)
        dimensions = {"vector": 2, "image": 4}[self.kind]
        wanted = np.dtype(np.float64 if self.columns else np.float32)
        if self.features.dtype != wanted or self.features.ndim != dimensions:
            raise DataError(
                f"features of kind {self.kind!r} must be {wanted} with {dimensions} dimensions, "
                f"got {self.features.dtype} of shape {self.features.shape}"
            )
        if self.columns and len(self.columns) != self.features.shape[1]:
            raise DataError(
                f"columns must describe the {self.features.shape[1]} columns of the features, "
                f"got {len(self.columns)}"
            )
        if self.groups is not None and self.groups.shape != (rows,):
            raise DataError(f"groups must have shape ({rows},), got {self.groups.shape}")
        if self.task == "multi-label":
            self._check_multi_hot()
        else:
            self._check_classes()
        if self.split is not None and self.split.shape != (rows,):
            raise DataError(f"split must have shape ({rows},), got {self.split.shape}")

    def _check_classes(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.features),):
            raise DataError(
                f"labels must be int64 of shape ({len(self.features)},), one per row of features, "
                f"got {self.labels.dtype} of shape {self.labels.shape}"
            )
        if not len(self.labels) or _outside(self.labels, len(self.class_names) - 1):
            raise DataError(
                f"labels must be non-empty and lie in 0 .. {len(self.class_names) - 1}, "
                f"one number per class name"
            )

    def _check_multi_hot(self) -> None:
        shape = (len(self.features), len(self.class_names))
        if self.labels.dtype != np.int8 or self.labels.shape != shape:
            raise DataError(
                f"multi-label labels must be int8 of shape {shape}, one row per row of features "
                f"and one column per label, got {self.labels.dtype} of shape {self.labels.shape}"
            )
        if not self.labels.size or _outside(self.labels, 1):
            raise DataError("multi-label labels must be non-empty and hold only 0 and 1")

    @property
    def class_counts(self) -> npt.NDArray[np.int64]:
        """Samples per class (positives per label), in the order of `class_names`."""
        return count_labels(self.labels, len(self.class_names))

    def told(self) -> list[str]:
        """What was read, in lines: for the terminal, before anything is trained."""
        card = self.card
        noun = "classes" if self.task == "single-label" else "labels"
        ratio = card.largest_class / max(card.smallest_class, 1)
        lines = [
            f"Read {self.name}: {card.samples:,} samples, {card.classes:,} {noun} of "
            f"{card.largest_class:,} to {card.smallest_class:,} samples (1 : {ratio:.3g})",
        ]
        if card.dropped:
            listed = ", ".join(f"{name!r} ({count:,})" for name, count in card.dropped[:_SHOWN])
            more = len(card.dropped) - _SHOWN
            listed += f" and {more:,} more" if more > 0 else ""
            lines.append(f"{len(card.dropped):,} {noun} left out, {card.dropped_reason}: {listed}")
        notes = self._notes()
        lines += [f"- {note}" for note in notes[:_NOTES]]
        more = len(notes) - _NOTES
        return [*lines, f"- and {more:,} more notes, in the report"] if more > 0 else lines

    def _notes(self) -> tuple[str, ...]:
        if self.card.citation:  # built-in data, which the report describes
            return ()
        return tuple(filter(None, (self.card.description, *self.card.notes)))


def count_labels(labels: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Samples per class, from class numbers (N,) or multi-hot rows (N, C).

    >>> count_labels(np.array([[1, 0], [1, 1]], dtype=np.int8), 2)
    array([2, 1])
    """
    if labels.ndim == 2:
        positives: npt.NDArray[np.int64] = labels.sum(axis=0, dtype=np.int64)
        return positives
    return np.bincount(labels, minlength=classes).astype(np.int64)


def _outside(labels: Labels, largest: int) -> bool:
    return bool(labels.min() < 0 or labels.max() > largest)
