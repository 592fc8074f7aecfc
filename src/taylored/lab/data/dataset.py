"""What every source becomes: arrays, class names and a card that says where they came from."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from taylored.lab.data.errors import DataError

Kind = Literal["vector", "image"]
TRAIN, VALIDATION, TEST = 0, 1, 2
PART_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetCard:
    """Where the data come from and what was done to them, in plain strings and numbers.

    `dropped` lists (class name, samples) of the classes left out, `dropped_reason` says why.
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

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON-ready values."""
        card = asdict(self)
        card["dropped"] = [list(entry) for entry in self.dropped]
        card["notes"] = list(self.notes)
        return card


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features, labels and class names of one classification problem.

    Shape:
        features (N, D) for vectors or (N, channels, height, width) for images, float32;
        labels (N,), int64, 0 .. C-1; split (N,), 0 train, 1 validation, 2 test, or None when the
        parts are drawn by `make_split`.
    """

    name: str
    features: npt.NDArray[np.float32] = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    card: DatasetCard = field(repr=False)
    kind: Kind = "vector"
    split: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        rows = len(self.labels)
        dimensions = {"vector": 2, "image": 4}[self.kind]
        if self.features.dtype != np.float32 or self.features.ndim != dimensions:
            raise DataError(
                f"features of kind {self.kind!r} must be float32 with {dimensions} dimensions, "
                f"got {self.features.dtype} of shape {self.features.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.features),):
            raise DataError(
                f"labels must be int64 of shape ({len(self.features)},), one per row of features, "
                f"got {self.labels.dtype} of shape {self.labels.shape}"
            )
        if rows == 0 or self.labels.min() < 0 or self.labels.max() >= len(self.class_names):
            raise DataError(
                f"labels must be non-empty and lie in 0 .. {len(self.class_names) - 1}, "
                f"one number per class name"
            )
        if self.split is not None and self.split.shape != (rows,):
            raise DataError(f"split must have shape ({rows},), got {self.split.shape}")

    @property
    def class_counts(self) -> npt.NDArray[np.int64]:
        """Samples per class, in the order of `class_names`."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)
