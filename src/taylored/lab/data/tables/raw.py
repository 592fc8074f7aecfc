"""Files and data frames as raw columns: texts, numbers or dates, before anything is understood."""

import warnings
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import some
from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import require
from taylored.lab.data.reading import Reading
from taylored.lab.data.tables.dialect import WORDS, find_dialect, first_line_hint, short_rows
from taylored.lab.data.tables.text_file import read_text

MAX_CELLS: Final = 250_000_000
"""Cap on rows times columns: each cell takes 8 bytes, and a small Parquet file can unpack to any
number of them."""
ROW_NAMES: Final = "(row names)"


@dataclass(frozen=True, eq=False)
class RawColumn:
    """One column as it was read.

    `values` are numbers (float64, NaN is missing), booleans, dates (datetime64, NaT is missing), or
    texts (object, None is missing). `typed` says that the source knew the type, so that a text such
    as "1" was meant to be a text. A column that cannot be used says why in `problem`.
    """

    name: str
    values: npt.NDArray[Any]
    typed: bool
    problem: str = ""


@dataclass(frozen=True, eq=False)
class RawTable:
    """The columns of a table, and what is to be said about how it was read."""

    columns: tuple[RawColumn, ...]
    form: str
    notes: tuple[str, ...] = ()


def read_text_table(path: Path, reading: Reading, target: str | None) -> RawTable:
    """A table in a text file, every cell as text."""
    pandas = require("pandas", extra="lab", purpose=f"Reading {path.name}")
    text, encoding, notes = read_text(path, reading.encoding)
    dialect = find_dialect(text, reading, target, path.suffix.lower())
    names = [*([ROW_NAMES] if dialect.row_names else []), *dialect.columns]
    separator = dialect.separator
    try:
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would shift or cut them and only warn.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(
                StringIO(dialect.body),
                sep=r"\s+" if separator == " " else separator,
                header=None,
                names=range(len(names)),
                dtype=object,
                na_filter=False,
                index_col=False,
                skipinitialspace=True,
                engine="c" if len(separator) == 1 else "python",
            )
    except pandas.errors.EmptyDataError:
        frame = pandas.DataFrame({number: [] for number in range(len(names))}, dtype=object)
    except (ValueError, pandas.errors.ParserWarning) as error:
        raise DataError(
            f"{path} cannot be read as a table (separated by {WORDS.get(separator, separator)}, "
            f"{len(names)} columns: {error}). separator= names another"
        ) from error
    columns = [frame[number].to_numpy(dtype=object, copy=True) for number in range(len(names))]
    if len(columns) > 1 and (columns[-1] == "").any() and (short := short_rows(dialect)):
        notes = (
            *notes,
            f"{short:,} rows are shorter than the header: their last cells are missing",
        )
    form = f"{encoding}, separated by {WORDS.get(separator, repr(separator))}"
    named = zip(names, columns, strict=True)
    return _without_twins(
        RawTable(tuple(RawColumn(name, values, False) for name, values in named), form, notes),
        path.name,
        target,
    )


def read_parquet(path: Path, target: str | None) -> RawTable:
    """A table in a Parquet file, with the types that the file states."""
    pandas = require("pandas", extra="lab", purpose=f"Reading {path.name}")
    parquet = require("pyarrow.parquet", extra="lab", purpose=f"Reading {path.name}")
    try:
        with parquet.ParquetFile(path) as file:
            cells = file.metadata.num_rows * file.metadata.num_columns
        if cells <= MAX_CELLS:
            frame = pandas.read_parquet(path)
    except (ValueError, OSError) as error:  # also the errors of pyarrow
        raise DataError(f"{path} cannot be read as a table ({error})") from error
    if cells > MAX_CELLS:
        raise DataError(
            f"{path} has {cells:,} cells, more than the {MAX_CELLS:,} that are read. "
            "Draw a sample of its rows, or leave columns out, before saving it"
        )
    table = from_frame(frame, path.name, target)
    return RawTable(table.columns, "Parquet", table.notes)


def from_frame(frame: Any, name: str, target: str | None) -> RawTable:
    """The columns of a pandas data frame; its index is left out."""
    pandas = require("pandas", extra="lab", purpose="Reading a data frame")
    columns = tuple(
        _typed_column(pandas, str(label), frame.iloc[:, place])
        for place, label in enumerate(frame.columns)
    )
    return _without_twins(RawTable(columns, "data frame"), name, target)


def _typed_column(pandas: Any, name: str, series: Any) -> RawColumn:
    kinds = pandas.api.types
    if isinstance(series.dtype, pandas.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if series.dtype == np.bool_:
        return RawColumn(name, series.to_numpy(), True)
    if kinds.is_bool_dtype(series.dtype) or kinds.is_numeric_dtype(series.dtype):
        if kinds.is_complex_dtype(series.dtype):
            return RawColumn(name, np.empty(0), True, "it holds complex numbers")
        return RawColumn(name, series.to_numpy(dtype=np.float64, na_value=np.nan), True)
    if kinds.is_datetime64_any_dtype(series.dtype):
        zoned = getattr(series.dtype, "tz", None) is not None
        plain = series.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else series
        return RawColumn(name, plain.to_numpy().astype("datetime64[us]"), True)
    if kinds.is_timedelta64_dtype(series.dtype):
        return RawColumn(name, series.dt.total_seconds().to_numpy(dtype=np.float64), True)
    return _object_column(pandas, name, series)


def _object_column(pandas: Any, name: str, series: Any) -> RawColumn:
    kind = pandas.api.types.infer_dtype(series, skipna=True)
    missing = series.isna().to_numpy()
    values = series.to_numpy(dtype=object, copy=True)
    values[missing] = None
    if kind in ("string", "empty"):
        return RawColumn(name, values, True)
    if kind in ("boolean", "integer", "floating", "mixed-integer-float", "decimal"):
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        return RawColumn(name, numbers, True)
    if kind in ("date", "datetime", "datetime64"):
        dates = pandas.to_datetime(series, errors="coerce", utc=True).dt.tz_localize(None)
        return RawColumn(name, dates.to_numpy().astype("datetime64[us]"), True)
    if kind in ("mixed-integer", "mixed"):  # numbers and texts: what a text file would give
        plain = (str, int, float, type(None))
        if all(isinstance(value, plain) for value in values):
            texts = [None if value is None else str(value) for value in values]
            return RawColumn(name, np.array(texts, dtype=object), False)
    return RawColumn(name, np.empty(0), True, f"it holds values of kind {kind!r}")


def _without_twins(table: RawTable, name: str, target: str | None) -> RawTable:
    """Refuse two columns of one name with different content; of equal ones keep the first.

    pandas would rename the second, and the target would come back as a feature.
    """
    first: dict[str, RawColumn] = {}
    notes = list(table.notes)
    differ = []
    for column in table.columns:
        known = first.setdefault(column.name, column)
        if known is column:
            continue
        if _equal(known.values, column.values):
            notes.append(
                f"column {column.name!r} is there twice with the same content; one is used"
            )
        else:
            differ.append(column.name)
    if differ:
        raise DataError(
            f"{name}: column names must be distinct, twice there with different content: "
            f"{some([repr(column) for column in differ])}. Rename them in the file"
            + (", as the classes cannot be in both." if target in differ else ".")
            + first_line_hint([column.name for column in table.columns])
        )
    return RawTable(tuple(first.values()), table.form, tuple(notes))


def _equal(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    missing = (a != a) & (b != b)  # NaN and NaT
    return bool(np.all((a == b) | missing))
