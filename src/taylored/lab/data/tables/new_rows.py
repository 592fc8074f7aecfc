"""New rows of a table, read in the way in which the rows were read that a model was trained on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import nearest, some
from taylored.lab.data.columns import Column
from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import require
from taylored.lab.data.reading import Decimal
from taylored.lab.data.tables.dates import calendar, parse_dates
from taylored.lab.data.tables.numbers import to_number, to_quantity
from taylored.lab.data.tables.raw import RawColumn, RawTable
from taylored.lab.data.tables.understand import FALSE, RARE_LEVEL, TRUE, clean

Values = npt.NDArray[np.float64]
_DECIMALS: Final[Mapping[str, Decimal]] = {".": ".", ",": ","}


def features_of(columns: Sequence[Column], table: RawTable, missing: Iterable[str]) -> Values:
    """The features of new rows, (N, columns); NaN where a value is missing or cannot be read.

    A text that the training rows did not have counts as rare. Columns that are not needed are
    ignored.

    Raises:
        DataError: for a column that is missing.
    """
    known = {column.name: column for column in table.columns}
    needed = dict.fromkeys(column.source for column in columns)
    absent = [name for name in needed if name not in known]
    if absent:
        raise DataError(
            f"rows: the columns {some([repr(name) for name in absent])} are missing, which the "
            f"model was trained on.{nearest(absent[0], known)}"
        )
    gaps = [*missing]
    cleaned = {name: _cleaned(known[name], gaps) for name in needed}
    return np.column_stack([_feature(column, cleaned[column.source]) for column in columns])


def _cleaned(column: RawColumn, missing: Iterable[str]) -> npt.NDArray[Any]:
    if column.problem:
        raise DataError(f"rows: column {column.name!r} cannot be used: {column.problem}")
    return clean(column.values, missing) if column.values.dtype == object else column.values


def _feature(column: Column, values: npt.NDArray[Any]) -> Values:
    what, _, form = column.how.partition(" ")
    if column.kind == "category":
        texts = _units(values, _DECIMALS[form]) if what == "unit" else _texts(values)
        return _positions(texts, column.levels)
    if what == "truth":
        return _each(values, _truth)
    if what == "number":
        return _each(values, lambda text: to_number(text, _DECIMALS[form]))
    if what == "quantity":
        return _each(values, lambda text: _number_of(text, _DECIMALS[form]))
    return calendar(_dates(values, form))[what]


def _each(values: npt.NDArray[Any], read: Any) -> Values:
    """Numbers as they are, texts as they are read."""
    if values.dtype != object:
        return values.astype(np.float64)
    found = [None if text is None else read(text) for text in values]
    return np.array([np.nan if number is None else number for number in found], dtype=np.float64)


def _truth(text: str) -> float | None:
    if text.lower() in TRUE | FALSE:
        return float(text.lower() in TRUE)
    return to_number(text, ".")


def _number_of(text: str, decimal: Decimal) -> float | None:
    quantity = to_quantity(text, decimal)
    return None if quantity is None else quantity.number


def _units(values: npt.NDArray[Any], decimal: Decimal) -> list[str | None]:
    if values.dtype != object:
        return [None if np.isnan(value) else "none" for value in values]
    found = [None if text is None else to_quantity(text, decimal) for text in values]
    return [None if quantity is None else quantity.unit or "none" for quantity in found]


def _texts(values: npt.NDArray[Any]) -> list[str | None]:
    """Texts as they are; numbers, which are codes then, without decimals that say nothing."""
    if values.dtype == object:
        return [*values]
    return [None if value != value else f"{value:g}" for value in values.astype(np.float64)]


def _positions(texts: Sequence[str | None], levels: Sequence[str]) -> Values:
    position = {text: float(place) for place, text in enumerate(levels)}
    # Beyond all levels, an encoder counts it as rare where training had rare ones, else as nothing.
    other = position.get(RARE_LEVEL, float(len(levels)))
    return np.array([np.nan if text is None else position.get(text, other) for text in texts])


def _dates(values: npt.NDArray[Any], form: str) -> npt.NDArray[Any]:
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    pandas = require("pandas", extra="lab", purpose="Reading dates")
    if values.dtype != object:
        raise DataError("rows: a column of dates holds numbers. Give texts or datetimes")
    return parse_dates(pandas, pandas.Series(values.tolist(), dtype=object), form)
