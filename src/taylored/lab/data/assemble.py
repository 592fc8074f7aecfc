"""From what a source read to a data set: leave out tiny classes, check, write the card."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import check_given_split
from taylored.lab.data.dataset import Dataset, DatasetCard, Kind, Labels, TaskName, count_labels
from taylored.lab.data.errors import DataError


@dataclass(frozen=True, eq=False)
class RawData:
    """What a source read, before any class was left out.

    `class_names` may hold classes without samples: they are left out, and listed in the card, as
    tiny classes are. `labels` are class numbers (N,), int64, or for multi-label data 0 and 1
    (N, C), int8.
    """

    name: str
    features: npt.NDArray[np.float32]
    labels: Labels
    class_names: tuple[str, ...]
    kind: Kind
    source: str
    licence: str
    description: str
    citation: str
    split: npt.NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    task: TaskName = "single-label"


def assemble(raw: RawData, *, min_per_class: int) -> Dataset:
    """Leave out classes with fewer than `min_per_class` samples and build the data set.

    The samples of such a class are left out with it. A label of multi-label data also needs that
    many samples without it; where it is left out, its samples stay and lose that label.
    """
    counts = count_labels(raw.labels, len(raw.class_names))
    noun = "classes" if raw.task == "single-label" else "labels"
    if np.count_nonzero(counts) < 2:
        present = [name for name, count in zip(raw.class_names, counts, strict=True) if count]
        raise DataError(
            f"{raw.name}: classification needs at least 2 {noun}, found {len(present)} "
            f"({', '.join(map(repr, present)) or 'no samples'})"
        )
    measurable = counts
    if raw.task == "multi-label":
        measurable = np.minimum(counts, len(raw.labels) - counts)
    kept = measurable >= min_per_class
    if np.count_nonzero(kept) < 2:
        raise DataError(
            f"{raw.name}: fewer than 2 {noun} have at least {min_per_class} "
            f"{_samples(raw.task)} (largest {noun}: {_largest(raw.class_names, counts)}). "
            "Add samples or lower min_per_class"
        )
    dropped = tuple(
        (name, int(count))
        for name, count, keep in zip(raw.class_names, counts, kept, strict=True)
        if not keep
    )
    data = _only(raw, kept) if dropped else raw
    if data.split is not None:
        check_given_split(data.name, data.labels, data.split, data.class_names)
    card = DatasetCard(
        source=data.source,
        licence=data.licence,
        description=data.description,
        citation=data.citation,
        samples=len(data.labels),
        classes=len(data.class_names),
        largest_class=int(counts[kept].max()),
        smallest_class=int(counts[kept].min()),
        dropped=dropped,
        dropped_reason=f"fewer than {min_per_class} {_samples(raw.task)}" if dropped else "",
        notes=(*data.notes, *_density(data)),
    )
    return Dataset(
        data.name,
        data.features,
        data.labels,
        data.class_names,
        card,
        data.kind,
        data.split,
        data.task,
    )


def _only(raw: RawData, kept: npt.NDArray[np.bool_]) -> RawData:
    """The data with the kept classes only, and the samples that have a class left."""
    names = tuple(name for name, keep in zip(raw.class_names, kept, strict=True) if keep)
    if raw.task == "multi-label":
        return replace(raw, labels=raw.labels[:, kept], class_names=names)
    rows = kept[raw.labels]
    renumber = np.cumsum(kept, dtype=np.int64) - 1
    return replace(
        raw,
        features=raw.features[rows],
        labels=renumber[raw.labels[rows]],
        split=None if raw.split is None else raw.split[rows],
        class_names=names,
    )


def _samples(task: TaskName) -> str:
    return "samples" if task == "single-label" else "samples with the label, or without it"


def _density(data: RawData) -> tuple[str, ...]:
    """A note on the number of labels per sample, which class counts do not show."""
    if data.task == "single-label":
        return ()
    per_sample = data.labels.sum(axis=1)
    empty = int(np.count_nonzero(per_sample == 0))
    return (f"{per_sample.mean():.1f} of the labels per sample; samples without any: {empty:,}",)


def _largest(names: tuple[str, ...], counts: npt.NDArray[np.int64]) -> str:
    order = np.argsort(-counts, kind="stable")[:3]
    return ", ".join(f"{names[index]!r} with {counts[index]}" for index in order)
