"""A table as raw data: read, understood, guarded against leaks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.checks import name_of, nearest, some
from taylored.lab.data.columns import Column
from taylored.lab.data.errors import DataError
from taylored.lab.data.labels import encode_labels
from taylored.lab.data.optional import require
from taylored.lab.data.reading import Decimal, Reading
from taylored.lab.data.tables.dialect import first_line_hint
from taylored.lab.data.tables.guards import (
    as_numbers,
    order_warning,
    row_number_reason,
    target_reason,
)
from taylored.lab.data.tables.numbers import find_decimal
from taylored.lab.data.tables.raw import (
    RawColumn,
    RawTable,
    from_frame,
    read_parquet,
    read_text_table,
)
from taylored.lab.data.tables.understand import MISSING, Understood, clean, understand

MISSING_CLASS: Final = frozenset(
    ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NULL", "null")
)
"""Texts that count as a missing class where `na` names no others; "None" may well be a class."""
_PARQUET: Final = (".parquet", ".pq")


def load_table(path: Path, target: str | None, reading: Reading) -> RawData:
    """Read a table in a file, whose column `target` holds the classes."""
    if path.suffix.lower() in _PARQUET:
        table = read_parquet(path, target)
    else:
        table = read_text_table(path, reading, target)
    return _raw_data(table, name_of(path, ending=False), name_of(path), target, reading)


def load_frame(frame: Any, target: str | None, reading: Reading) -> RawData:
    """Read a pandas data frame, whose column `target` holds the classes."""
    name = "data frame"
    return _raw_data(from_frame(frame, name, target), name, name, target, reading)


def _raw_data(
    table: RawTable, name: str, file: str, target: str | None, reading: Reading
) -> RawData:
    names = [column.name for column in table.columns]
    _check_names(file, names, target, reading)
    notes = list(table.notes)
    missing = MISSING if reading.na is None else frozenset(reading.na)
    in_target = MISSING_CLASS if reading.na is None else frozenset(reading.na)
    columns = [
        _cleaned(column, in_target if column.name == target else missing)
        for column in table.columns
        if column.name not in reading.drop
    ]
    _refuse_target(file, next(column for column in columns if column.name == target))
    columns, left = _with_class(columns, target)
    if left:
        notes.append(f"{left:,} rows without a class left out (target {target!r} is missing)")
    by_name = {column.name: column for column in columns}
    if not len(by_name[str(target)].values) or len(columns) < 2:
        raise DataError(f"{file}: no rows or no columns besides the target {target!r}")
    labels, class_names, said = encode_labels(
        f"{file}: target column {target!r}", by_name[str(target)].values.tolist()
    )
    notes += said
    others = [c for c in columns if c.name not in (target, reading.group)]
    found, more = _features(others, labels, reading, table.form)
    if not found:
        raise DataError(
            f"{file}: no column is left besides the target {target!r}: {'; '.join(more)}. "
            "keep= uses a column all the same"
        )
    return RawData(
        name=name,
        features=np.column_stack([values for _, values in found]),
        labels=labels,
        class_names=class_names,
        kind="vector",
        source=f"table {file}, target column {target}",
        licence="not stated (own data)",
        description=(
            f"{len(labels):,} rows, {len(table.columns) - 1:,} columns besides the target in "
            f"{file} ({table.form}); {len(found):,} features before categories are encoded."
        ),
        citation="",
        notes=(*notes, *more),
        columns=tuple(column for column, _ in found),
        groups=_groups(by_name.get(reading.group or "")),
    )


def _check_names(file: str, names: Sequence[str], target: str | None, reading: Reading) -> None:
    listed = f"its columns are {some([repr(name) for name in names])}"
    if target is None:
        raise DataError(f"{file}: say which column holds the classes with target=; {listed}")
    group = () if reading.group is None else (reading.group,)
    asked = {
        "target": (target,),
        "group": group,
        "drop": reading.drop,
        "keep": reading.keep,
        "categories": reading.categories,
    }
    for option, wanted in asked.items():
        for name in wanted:
            if name not in names:
                called = "" if option == "target" else f"{option}: "
                raise DataError(
                    f"{called}{file}: no column {name!r}; {listed}.{nearest(name, names)}"
                    f"{first_line_hint(names)}"
                )
            if option != "target" and name == target:
                raise DataError(f"{option}: {name!r} is the target")


def _cleaned(column: RawColumn, missing: frozenset[str]) -> RawColumn:
    if column.values.dtype != object:
        return column
    return replace(column, values=clean(column.values, missing))


def _with_class(columns: list[RawColumn], target: str | None) -> tuple[list[RawColumn], int]:
    """The columns without the rows whose class is missing, and the number of those rows."""
    classes = next(column for column in columns if column.name == target).values
    if classes.dtype == object:
        present = np.array([value is not None for value in classes], dtype=np.bool_)
    elif classes.dtype.kind == "M":
        present = ~np.isnat(classes)
    else:
        present = ~np.isnan(classes)
    left = int(np.count_nonzero(~present))
    if not left:
        return columns, 0
    kept = [
        column if column.problem else replace(column, values=column.values[present])
        for column in columns
    ]
    return kept, left


def _refuse_target(file: str, column: RawColumn) -> None:
    if column.problem or column.values.dtype.kind == "M":
        what = column.problem or "it holds dates"
        raise DataError(
            f"{file}: target column {column.name!r} cannot be used: {what}. "
            "Turn it into numbers or text"
        )


def _features(
    columns: Sequence[RawColumn], labels: npt.NDArray[np.int64], reading: Reading, form: str
) -> tuple[list[tuple[Column, npt.NDArray[np.float64]]], list[str]]:
    """The features of all columns that may be used, and what is to be said about columns."""
    pandas = require("pandas", extra="lab", purpose="Reading a table")
    decimal: Decimal = reading.decimal or find_decimal(
        (
            # In the order of the file, so that two readings look at the same texts.
            [text for text in dict.fromkeys(c.values.tolist()) if text is not None]
            for c in columns
            if c.values.dtype == object
        ),
        separator_is_comma="commas" in form,
    )
    notes: list[str] = []
    if decimal == "," and reading.decimal is None:
        notes.append("decimal commas found; decimal='.' reads them otherwise")
    found: list[tuple[Column, npt.NDArray[np.float64]]] = []
    for column in columns:
        known = understand(pandas, column, decimal, is_code=column.name in reading.categories)
        reason, warnings = (None, []) if column.problem else _leak(column, known, labels)
        if reason and column.name not in reading.keep:
            notes.append(f"column {column.name!r} left out: {reason}; keep= uses it all the same")
            continue
        found += known.features
        notes += [*warnings, *known.notes]
    notes += _about_gaps(found)
    # What must not be overlooked comes first.
    return found, sorted(notes, key=lambda note: not note.startswith("Warning: "))


def _about_gaps(found: Sequence[tuple[Column, npt.NDArray[np.float64]]]) -> list[str]:
    """How many values are missing, and what becomes of them in a trial."""
    shares = [(column.name, float(np.isnan(values).mean())) for column, values in found]
    listed = [f"{name!r} ({share:.1%})" for name, share in shares if share]
    how = (
        "a number becomes the median of the training rows, with a column that says so; "
        "a missing category is a category"
    )
    return [f"missing values in {some(listed)}: {how}"] if listed else []


def _leak(
    column: RawColumn, known: Understood, labels: npt.NDArray[np.int64]
) -> tuple[str | None, list[str]]:
    numbers = as_numbers(column, known.features)
    # Dates are several features; a day per row is no row number.
    plain = [feature.name for feature, _ in known.features] == [column.name]
    reason = row_number_reason(column, numbers if plain else None)
    values = column.values if numbers is None else numbers
    same, warning = target_reason(column.name, values, labels)
    ordered = order_warning(column, numbers)
    return reason or same, [text for text in (warning, ordered) if text]


def _groups(column: RawColumn | None) -> npt.NDArray[np.int64] | None:
    """The number of each row's group; a row without one is a group of its own."""
    if column is None:
        return None
    if column.problem:
        raise DataError(f"group: column {column.name!r} cannot be used: {column.problem}")
    known: dict[object, int] = {}
    numbers = np.empty(len(column.values), dtype=np.int64)
    for row, value in enumerate(column.values.tolist()):
        missing = value is None or value != value  # NaN
        numbers[row] = known.setdefault(("row", row) if missing else value, len(known))
    return numbers
