"""Leaks: columns that number the rows, or that hold the target again."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.dataset import Features, Labels
from taylored.lab.data.tables.raw import ROW_NAMES, RawColumn

_MOST_COLUMNS: Final = 1000  # of an array that are looked at: each is sorted
_PURE_ROWS: Final = 5
"""Rows per value from which it is no accident that every value has one class."""
_NAMES: Final = 10
"""Values per class from which a column rather names something than describes it."""
_NEARLY: Final = 0.05
"""Share of the errors of always saying the largest class that is left where values tell it."""
_COUNTED_ROWS: Final = 50
"""Rows that are counted one by one from which it is no accident; hours of a day are fewer."""
_NAMES_OF_ROWS: Final = re.compile(
    r"unnamed:.*|__index_level_\d+__|index|level_0|row ?(?:names?|num(?:ber)?|id|no|nr)?s?|"
    r"rownames?|.*[ _.-](?:id|no|nr|num|number|key)|id|no|nr|num|number|key|uuid|guid|#|",
    re.IGNORECASE,
)
_CAMEL_ID: Final = re.compile(r".*[a-z](?:Id|ID)")
WARNING: Final = "Warning: "


def row_number_reason(column: RawColumn, numbers: npt.NDArray[np.float64] | None) -> str | None:
    """Why a column is a name or number of the rows, or None.

    It would give the class away wherever rows are sorted by class, and it cannot mean anything for
    new rows. `numbers` are the values where they are all numbers.
    """
    if column.name == ROW_NAMES:
        return "the header has no name for it, as in a table with row names"
    if numbers is None or len(numbers) < 2 or not _whole_and_distinct(numbers):
        return None
    if _monotone(numbers):
        return "it only numbers the rows (whole numbers, all distinct, in order)"
    if numbers.max() - numbers.min() + 1 == len(numbers):
        return "it only numbers the rows (all whole numbers of a range, once each)"
    if _NAMES_OF_ROWS.fullmatch(column.name) or _CAMEL_ID.fullmatch(column.name):
        return "by name and content it identifies the rows (distinct whole numbers)"
    return None


def order_warning(column: RawColumn, numbers: npt.NDArray[np.float64] | None) -> str | None:
    """A warning about values in the order of the rows, at least piece by piece, or None."""
    if numbers is None or len(numbers) < 20 or np.isnan(numbers).any():
        return None
    pieces = np.count_nonzero(np.diff(numbers) != 1) + 1
    if _monotone(numbers):
        how = "grows or falls from row to row, as a row number does"
    elif pieces * _COUNTED_ROWS <= len(numbers):
        how = f"counts from row to row and begins {pieces} times, as numbers inside of parts do"
    else:
        return None
    return (
        f"{WARNING}column {column.name!r} {how}. "
        "If rows are sorted by class it gives the class away: drop= leaves it out"
    )


def target_reason(
    name: str, values: npt.NDArray[Any], labels: Labels
) -> tuple[str | None, str | None]:
    """Why a column is the target again, or a warning that it determines the target.

    The first is said where values and classes belong together one to one; the second where every
    value has one class, where the rows sorted by it are sorted by class, or where the classes of
    the rows that lack it never have it. Values are numbers, dates or texts.
    """
    codes, missing = _coded(values)
    distinct, classes = int(codes.max()) + 1, len(np.unique(labels))
    pairs = len(np.unique(codes * (labels.max() + 1) + labels))
    if distinct > 1 and pairs == distinct:  # every value has one class
        if len(codes) >= _PURE_ROWS * distinct:
            if distinct == classes:
                return "it is the target under other names, value for value", None
            return None, _determines(name, "every one of its values has one class")
        if values.dtype.kind in "fM" and len(codes) >= _PURE_ROWS * classes:
            in_order = labels[np.argsort(codes, kind="stable")]
            if np.count_nonzero(np.diff(in_order)) == classes - 1:
                return None, _determines(name, "sorted by it, the rows are sorted by class")
    elif distinct >= _NAMES * classes and len(codes) >= _PURE_ROWS * distinct:
        left = _wrong(codes, labels)
        if left <= _NEARLY * _wrong(np.zeros_like(codes), labels):
            how = f"{100 * left:.2g} % of the rows have another class than most of their value"
            return None, _determines(name, how)
    some_missing = _PURE_ROWS <= np.count_nonzero(missing) <= len(missing) - _PURE_ROWS
    if some_missing and not set(labels[missing].tolist()) & set(labels[~missing].tolist()):
        how = "the classes of the rows in which it is missing never have it"
        return None, _determines(name, how)
    return None, None


def array_warnings(features: Features, labels: Labels) -> tuple[str, ...]:
    """What the columns of an array give away; nothing is left out of what a program made."""
    if labels.ndim != 1 or features.shape[1] > _MOST_COLUMNS:
        return ()
    notes = []
    for place in range(features.shape[1]):
        name, values = str(place + 1), features[:, place].astype(np.float64)
        same, warning = target_reason(name, values, labels)
        ordered = order_warning(RawColumn(name, values, True), values)
        same = f"{WARNING}column {name!r}: {same}" if same else None
        notes += [text for text in (same, warning, ordered) if text]
    return tuple(notes)


def as_numbers(column: RawColumn, known: Sequence[Any]) -> npt.NDArray[np.float64] | None:
    """The values of a column that is one number per row, as understood."""
    if column.values.dtype.kind in "fb":
        numbers: npt.NDArray[np.float64] = column.values.astype(np.float64)
        return numbers
    if column.values.dtype.kind == "M":
        dates: npt.NDArray[np.float64] = column.values.astype(np.int64).astype(np.float64)
        return dates
    return next(_numbers_of(known), None)


def _numbers_of(known: Sequence[Any]) -> Iterator[npt.NDArray[np.float64]]:
    for feature, values in known:
        if feature.kind == "number":
            yield values


def _determines(name: str, how: str) -> str:
    return (
        f"{WARNING}column {name!r} alone determines the target: {how}. Unless it is known "
        "before the target is, the results mean nothing: drop= leaves it out"
    )


def _wrong(codes: npt.NDArray[np.int64], labels: Labels) -> float:
    """Share of the rows that have not the most frequent class of the rows with their value."""
    pairs, counts = np.unique(codes * (int(labels.max()) + 1) + labels, return_counts=True)
    most = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    np.maximum.at(most, pairs // (int(labels.max()) + 1), counts)
    return 1 - float(most.sum()) / len(labels)


def _whole_and_distinct(numbers: npt.NDArray[np.float64]) -> bool:
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        return False
    return len(np.unique(numbers)) == len(numbers)


def _monotone(numbers: npt.NDArray[np.float64]) -> bool:
    steps = np.diff(numbers)
    return bool((steps > 0).all() or (steps < 0).all())


def _coded(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The distinct values as numbers in their order, a missing one among them; where it is."""
    if values.dtype.kind in "fM":
        _, codes = np.unique(values, return_inverse=True)
        missing = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
        return codes.astype(np.int64), missing
    known: dict[Any, int] = {}
    codes = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)
    return codes, np.array([value is None for value in values], dtype=np.bool_)
