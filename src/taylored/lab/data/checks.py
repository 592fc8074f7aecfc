"""Checks that several sources share. Each error names the place and the fix."""

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import numpy.typing as npt

from taylored.lab.data.dataset import PART_NAMES, TRAIN, Labels, count_labels
from taylored.lab.data.errors import DataError

_SHOWN = 5


def nearest(name: str, choices: Iterable[str]) -> str:
    """The text " Did you mean ...?" with the closest choices, or nothing."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.6)
    if not found:
        return ""
    return f" Did you mean {' or '.join(repr(by_lower[match]) for match in found)}?"


def some(items: Sequence[object]) -> str:
    """The first few items, and how many more there are."""
    shown = ", ".join(str(item) for item in items[:_SHOWN])
    more = len(items) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def name_of(path: Path, *, ending: bool = True) -> str:
    """The last part of a path as text that can be written in UTF-8, whatever bytes it has."""
    name = path.name if ending else path.stem
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def finite_float32(
    name: str, values: npt.NDArray[np.generic], columns: Sequence[str] | None = None
) -> npt.NDArray[np.float32]:
    """`values` (N, ...) as float32, or an error naming the rows (and columns) that are not finite.

    The check follows the conversion, so numbers too large for float32 are found as well.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        features = np.ascontiguousarray(values, dtype=np.float32)
    if np.isfinite(features).all():
        return features
    bad = ~np.isfinite(features.reshape(len(features), -1))
    rows = np.flatnonzero(bad.any(axis=1))
    where = f"rows {some([row + 1 for row in rows.tolist()])} (counted from 1)"
    if features.ndim == 2:
        places = np.flatnonzero(bad.any(axis=0))
        labels = [repr(columns[place]) if columns else f"{place + 1}" for place in places.tolist()]
        where = f"columns {some(labels)}, {where}"
    raise DataError(
        f"{name}: features hold NaN, infinite or too large values in {where}. "
        "Fill or remove them first"
    )


def check_given_split(
    name: str,
    labels: Labels,
    split: npt.NDArray[np.int64],
    class_names: Sequence[str],
) -> None:
    """Three non-empty parts, and no class in validation or test that training lacks."""
    for part, part_name in enumerate(PART_NAMES):
        if not (split == part).any():
            raise DataError(
                f"{name}: the given split has no {part_name} samples. "
                "Fill all three parts, or give no split to have 60/20/20 drawn"
            )
    trained = count_labels(labels[split == TRAIN], len(class_names)) > 0
    for part, part_name in list(enumerate(PART_NAMES))[1:]:
        present = count_labels(labels[split == part], len(class_names)) > 0
        unseen = np.flatnonzero(present & ~trained)
        if len(unseen):
            raise DataError(
                f"{name}: the {part_name} part has classes that training lacks: "
                f"{some([repr(class_names[index]) for index in unseen.tolist()])}. "
                "Add training samples or remove these classes"
            )
