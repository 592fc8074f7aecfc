"""From what a source read to a data set: leave out tiny classes, check, write the card."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import check_given_split
from taylored.lab.data.columns import Column
from taylored.lab.data.dataset import (
    PART_NAMES,
    Dataset,
    DatasetCard,
    Features,
    Kind,
    Labels,
    TaskName,
    count_labels,
)
from taylored.lab.data.errors import DataError
from taylored.lab.data.identity import equal_rows, join_groups

_OFTEN: Final = 10
"""Rows per possible combination of values from which equal rows are no sign of copying."""


@dataclass(frozen=True, eq=False)
class RawData:
    """What a source read, before any class was left out.

    `class_names` may hold classes without samples: they are left out, and listed in the card, as
    tiny classes are. `labels` are class numbers (N,), int64, or for multi-label data 0 and 1
    (N, C), int8.
    """

    name: str
    features: Features
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
    columns: tuple[Column, ...] = ()
    groups: npt.NDArray[np.int64] | None = None
    offset: npt.NDArray[np.float64] | None = None


def assemble(
    raw: RawData, *, min_per_class: int, equal: Literal["together", "anywhere"] = "together"
) -> Dataset:
    """Leave out classes with fewer than `min_per_class` samples and build the data set.

    The samples of such a class are left out with it. A label of multi-label data also needs that
    many samples without it; where it is left out, its samples stay and lose that label. Equal rows
    belong together, so that a class needs three different ones for the three parts, unless they
    may fall `equal="anywhere"`.
    """
    if equal == "together":
        raw = _with_equal_rows(raw)
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
    if raw.groups is not None and raw.task == "single-label":
        kept &= _groups_per_class(raw, raw.groups) >= min(min_per_class, len(PART_NAMES))
    if np.count_nonzero(kept) < 2:
        raise DataError(
            f"{raw.name}: fewer than 2 {noun} have at least {min_per_class} "
            f"{_samples(raw.task)}{_once(raw)} (largest {noun}: "
            f"{_largest(raw.class_names, counts)}). "
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
        dropped_reason=_reason(raw, min_per_class) if dropped else "",
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
        data.columns,
        data.groups,
        data.offset,
    )


def _with_equal_rows(raw: RawData) -> RawData:
    """The data with equal rows in one group, and a note about them."""
    found = equal_rows(raw.features)
    if found is None:
        return raw
    copies = len(found) - int(found.max()) - 1
    if raw.split is not None:
        parts = len(np.unique(found * 3 + raw.split)) - int(found.max()) - 1
        said = f"Warning: {parts:,} rows of the given parts have a copy in another part"
        return replace(raw, notes=(said, *raw.notes)) if parts else raw
    if raw.kind == "vector" and _few_combinations(raw.features):
        said = (
            f"{copies:,} rows are equal to another: there are few combinations of values for so "
            "many rows, so they are no copies and may fall into different parts"
        )
        return replace(raw, notes=(*raw.notes, said))
    said = f"{copies:,} rows are copies of another; copies stay in one part"
    groups = found if raw.groups is None else join_groups(raw.groups, found)
    return replace(raw, groups=groups, notes=(*raw.notes, said))


def _few_combinations(features: Features) -> bool:
    """Whether a combination of values must come up often: equal rows are no copies then."""
    combinations = 1
    for place in range(features.shape[1]):
        combinations *= len(np.unique(features[:, place]))
        if combinations * _OFTEN > len(features):
            return False
    return True


def _groups_per_class(raw: RawData, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    _, first = np.unique(groups * len(raw.class_names) + raw.labels, return_index=True)
    return count_labels(raw.labels[first], len(raw.class_names))


def _reason(raw: RawData, min_per_class: int) -> str:
    return f"fewer than {min_per_class} {_samples(raw.task)}{_once(raw)}"


def _once(raw: RawData) -> str:
    single = raw.groups is None or raw.task == "multi-label"
    return "" if single else ", or fewer than 3 without copies (or groups)"


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
        groups=None if raw.groups is None else raw.groups[rows],
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
