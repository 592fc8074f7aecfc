"""The last step that all sources share: leave out tiny classes, check, write the card."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import check_given_split
from taylored.lab.data.dataset import Dataset, DatasetCard, Kind
from taylored.lab.data.errors import DataError


@dataclass(frozen=True, eq=False)
class RawData:
    """What a source read, before any class was left out.

    `class_names` may hold classes without samples; they are dropped, and said, like tiny ones.
    """

    name: str
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    kind: Kind
    source: str
    licence: str
    description: str
    citation: str
    split: npt.NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()


def assemble(raw: RawData, *, min_per_class: int) -> Dataset:
    """Drop classes with fewer than `min_per_class` samples and build the dataset."""
    counts = np.bincount(raw.labels, minlength=len(raw.class_names))
    if np.count_nonzero(counts) < 2:
        present = [name for name, count in zip(raw.class_names, counts, strict=True) if count]
        raise DataError(
            f"{raw.name}: classification needs at least 2 classes, found {len(present)} "
            f"({', '.join(map(repr, present)) or 'no samples'})"
        )
    kept = counts >= min_per_class
    if np.count_nonzero(kept) < 2:
        raise DataError(
            f"{raw.name}: fewer than 2 classes have at least {min_per_class} samples "
            f"(largest classes: {_largest(raw.class_names, counts)}). "
            "Add samples or lower min_per_class"
        )
    dropped = tuple(
        (name, int(count))
        for name, count, keep in zip(raw.class_names, counts, kept, strict=True)
        if not keep
    )
    features, labels, split = raw.features, raw.labels, raw.split
    class_names = raw.class_names
    if dropped:
        rows = kept[labels]
        renumber = np.cumsum(kept, dtype=np.int64) - 1
        features, labels = features[rows], renumber[labels[rows]]
        split = None if split is None else split[rows]
        class_names = tuple(name for name, keep in zip(class_names, kept, strict=True) if keep)
    if split is not None:
        check_given_split(raw.name, labels, split, class_names)
    card = DatasetCard(
        source=raw.source,
        licence=raw.licence,
        description=raw.description,
        citation=raw.citation,
        samples=len(labels),
        classes=len(class_names),
        largest_class=int(counts[kept].max()),
        smallest_class=int(counts[kept].min()),
        dropped=dropped,
        dropped_reason=f"fewer than {min_per_class} samples" if dropped else "",
        notes=raw.notes,
    )
    return Dataset(raw.name, features, labels, class_names, card, raw.kind, split)


def _largest(names: tuple[str, ...], counts: npt.NDArray[np.int64]) -> str:
    order = np.argsort(-counts, kind="stable")[:3]
    return ", ".join(f"{names[index]!r} with {counts[index]}" for index in order)
