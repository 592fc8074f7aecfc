"""Tables in CSV or Parquet files."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.assemble import RawData
from taylored.lab.data.checks import finite_float32, nearest, some
from taylored.lab.data.errors import DataError
from taylored.lab.data.labels import encode_labels
from taylored.lab.data.optional import require

MAX_LEVELS = 50
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def load_table(path: Path, target: str | None) -> RawData:
    """Read a table whose column `target` holds the classes.

    Numeric and boolean columns are taken as they are, text and categories become one column per
    level (up to `MAX_LEVELS`). Nothing is filled in: missing values are an error.
    """
    pandas = require("pandas", extra="lab", purpose=f"Reading {path.name}")
    frame = _read(pandas, path)
    frame.columns = [str(column) for column in frame.columns]
    _check_columns(path.name, list(frame.columns), target)
    notes = []
    for column in frame.columns:
        if column != target and _is_row_number(column, frame[column]):
            frame = frame.drop(columns=column)
            notes.append(f"column {column!r} left out: it only numbers the rows")
    if len(frame.columns) < 2 or not len(frame):
        raise DataError(f"{path.name}: no rows or no columns besides the target {target!r}")
    _refuse_missing(path.name, frame)
    labels, class_names = encode_labels(
        f"{path.name}: target column {target!r}", _plain(pandas, path.name, frame[target])
    )
    blocks: list[npt.NDArray[Any]] = []
    names: list[str] = []
    for column in frame.columns:
        if column == target:
            continue
        block, levels = _encode(pandas, path.name, frame[column])
        blocks.append(block)
        names += [f"{column}={level}" for level in levels] or [column]
        if levels:
            notes.append(f"column {column!r} one-hot encoded, {len(levels)} levels")
    return RawData(
        name=path.stem,
        features=finite_float32(path.name, np.concatenate(blocks, axis=1), names),
        labels=labels,
        class_names=class_names,
        kind="vector",
        source=f"table {path.name}, target column {target}",
        licence="not stated (own data)",
        description=(
            f"{len(frame):,} rows, {len(frame.columns) - 1:,} columns "
            f"({len(names):,} after encoding) from {path.name}."
        ),
        citation="",
        notes=tuple(notes),
    )


def _read(pandas: Any, path: Path) -> Any:
    try:
        if path.suffix.lower() == ".parquet":
            return pandas.read_parquet(path)
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would shift or cut them and only warn.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            # Types come from whole columns, not from chunks.
            return pandas.read_csv(path, low_memory=False, index_col=False)
    except ImportError as error:
        raise DataError(
            f'Reading {path.name} needs pyarrow. Install it with: pip install "taylored[lab]"'
        ) from error
    except (ValueError, OSError, pandas.errors.ParserWarning) as error:
        raise DataError(f"{path} cannot be read as a table ({error})") from error


def _check_columns(name: str, columns: list[str], target: str | None) -> None:
    if len(set(columns)) != len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise DataError(f"{name}: column names must be distinct, twice there: {some(twice)}")
    listed = f"its columns are {some([repr(column) for column in columns])}"
    if target is None:
        raise DataError(f"{name}: say which column holds the classes with target=; {listed}")
    if target not in columns:
        hint = nearest(target, columns)
        for separator, word in _SEPARATORS.items():
            if len(columns) == 1 and separator in columns[0]:
                hint = f" The file seems to be separated by {word}: save it with commas"
        raise DataError(f"{name}: no column {target!r}; {listed}.{hint}")


def _is_row_number(column: str, values: Any) -> bool:
    """Whether this is the index that pandas writes without a name.

    It would give the class away wherever rows are sorted by class.
    """
    return column.startswith(("Unnamed: ", "__index_level_")) and bool(
        (values == np.arange(len(values))).all()
    )


def _refuse_missing(name: str, frame: Any) -> None:
    gaps = frame.isna().to_numpy()
    if gaps.any():
        columns = [repr(frame.columns[index]) for index in np.flatnonzero(gaps.any(axis=0))]
        rows = [row + 1 for row in np.flatnonzero(gaps.any(axis=1)).tolist()]
        raise DataError(
            f"{name}: missing values in columns {some(columns)}, rows {some(rows)} (counted from "
            "1 without the header; empty, NA, NaN, None and null count as missing). "
            "Fill or remove them first"
        )


def _plain(pandas: Any, name: str, column: Any) -> list[object]:
    """The values of a column as Python numbers, booleans or text."""
    if isinstance(column.dtype, pandas.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    kind = pandas.api.types.infer_dtype(column, skipna=False)
    if kind not in ("string", "boolean", "integer", "floating"):
        raise DataError(
            f"{name}: column {column.name!r} holds values of kind {kind!r}. "
            "Turn it into numbers or text, or remove it"
        )
    values: list[object] = column.tolist()
    return values


def _encode(pandas: Any, name: str, column: Any) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """One block of feature columns, and the levels when it is one-hot."""
    values = _plain(pandas, name, column)
    if not isinstance(values[0], str):
        return column.to_numpy(dtype=np.float64)[:, None], ()
    numbers, levels = encode_labels(f"{name}: column {column.name!r}", values)
    _refuse_spoilt_numbers(name, column.name, levels)
    if len(levels) > MAX_LEVELS:
        raise DataError(
            f"{name}: column {column.name!r} has {len(levels):,} different texts such as "
            f"{some([repr(level[:30]) for level in levels[:3]])}; at most {MAX_LEVELS} are one-hot "
            "encoded. Remove the column, group its levels or turn it into numbers"
        )
    block = np.zeros((len(numbers), len(levels)), dtype=np.float32)
    block[np.arange(len(numbers)), numbers] = 1.0
    return block, levels


def _refuse_spoilt_numbers(name: str, column: str, levels: Sequence[str]) -> None:
    """A numeric column in which a few entries such as '?' turned all others into text."""
    spoilt = [level for level in levels if not _is_number(level)]
    if 0 < len(spoilt) < len(levels) / 2:
        raise DataError(
            f"{name}: column {column!r} holds numbers, but also the texts "
            f"{some([repr(level[:30]) for level in spoilt])}. Replace or remove them first"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
