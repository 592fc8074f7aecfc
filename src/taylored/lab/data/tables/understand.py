"""From a raw column to features: what its values mean."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import some
from taylored.lab.data.columns import MAX_LEVELS, RARE, Column
from taylored.lab.data.reading import Decimal
from taylored.lab.data.tables.dates import Dates, expand, to_dates
from taylored.lab.data.tables.numbers import sign_of, to_numbers, to_quantities
from taylored.lab.data.tables.raw import RawColumn

_WORDS: Final = (
    "NA N/A n/a #N/A <NA> NaN nan NAN -nan None none NULL Null null nil ? - -- . * #NULL! #VALUE! "
    "#DIV/0! missing Missing MISSING unknown Unknown n.a. n.d."
)
MISSING: Final = frozenset(_WORDS.split())
"""Texts that count as missing in features, where `na` names no others."""
TRUE: Final = frozenset(("true", "yes", "t", "y"))
FALSE: Final = frozenset(("false", "no", "f", "n"))
_MOSTLY: Final = 0.9
"""Share of rows with a number from which a column of texts is taken for numbers."""
RARE_LEVEL: Final = "(rare)"
_CODE: Final = re.compile(r"0\d+")


@dataclass(frozen=True, eq=False)
class Understood:
    """The features of one raw column, with what is to be said; no features if it is left out."""

    features: tuple[tuple[Column, npt.NDArray[np.float64]], ...]
    notes: tuple[str, ...] = ()


def clean(values: npt.NDArray[Any], missing: Iterable[str]) -> npt.NDArray[Any]:
    """Texts without blanks around them; None where they mean "missing"."""
    gaps = {"", *missing}
    known: dict[str, str | None] = {}
    for value in values:
        if value is not None and value not in known:
            text = value.strip()
            known[value] = None if text in gaps else text
    return np.array([None if value is None else known[value] for value in values], dtype=object)


def understand(pandas: Any, column: RawColumn, decimal: Decimal, *, is_code: bool) -> Understood:
    """Numbers, dates, numbers with units, booleans or categories; texts are clean already."""
    if column.problem:
        return _left_out(column, column.problem)
    values = column.values
    if values.dtype.kind == "M":
        return _dates(column.name, Dates(values, "", ""))
    if values.dtype.kind == "b":
        return _numbers(column.name, values.astype(np.float64), how="truth")
    if values.dtype.kind == "f":
        how = f"number {decimal}"
        return _codes(column, values) if is_code else _numbers(column.name, values, how=how)
    texts = [value for value in values if value is not None]
    if not texts:
        return _left_out(column, "all its values are missing")
    if is_code:
        return _categories(column, ())
    return _text(pandas, column, texts, decimal)


def _text(pandas: Any, column: RawColumn, texts: list[str], decimal: Decimal) -> Understood:
    name, values, counts = column.name, column.values, Counter(texts)
    distinct = list(counts)
    if {text.lower() for text in distinct} <= TRUE | FALSE and len(distinct) > 1:
        truth = {text: float(text.lower() in TRUE) for text in distinct}
        return _numbers(name, _mapped(values, truth), how="truth")
    numbers = to_numbers(distinct, decimal)
    if numbers and column.typed and len(distinct) <= MAX_LEVELS:
        numbers = {}  # texts by intention, few of them: categories
    if len(numbers) == len(distinct) and _are_codes(distinct):
        note = f"column {name!r}: numbers with leading zeros such as {_shown(distinct)} are codes"
        return _categories(column, (note,))
    how = f"number {sign_of(numbers, decimal)}"
    if len(numbers) == len(distinct):
        return _numbers(name, _mapped(values, numbers), how=how)
    quantities = to_quantities(distinct, decimal)
    if quantities is not None:
        return _quantities(column, quantities, decimal)
    dates = to_dates(pandas, distinct)
    if dates is not None:
        known = dict(zip(distinct, dates.values, strict=True))
        absent = np.datetime64("NaT", "us")
        wrong = [text for text, date in known.items() if np.isnat(date)]
        column_dates = np.array([known.get(value, absent) for value in values], "datetime64[us]")
        return _dates(name, dates._replace(values=column_dates), wrong)
    if sum(counts[text] for text in numbers) >= _MOSTLY * len(texts):
        others = sorted(text for text in distinct if text not in numbers)
        note = (
            f"column {name!r} holds numbers; its texts {_shown(others)} are read as missing "
            f"({sum(counts[text] for text in others):,} rows)"
        )
        return _numbers(name, _mapped(values, numbers), note, how=how)
    return _categories(column, ())


def _numbers(name: str, values: npt.NDArray[np.float64], *notes: str, how: str) -> Understood:
    infinite = np.isinf(values)
    if infinite.any():
        values = np.where(infinite, np.nan, values)
        notes = (
            *notes,
            f"column {name!r}: {np.count_nonzero(infinite):,} infinite values read as missing",
        )
    present = values[~np.isnan(values)]
    if not len(present) or (present.min() == present.max() and len(present) == len(values)):
        what = "all its values are missing" if not len(present) else "it has one value only"
        return Understood((), (*notes, f"column {name!r} left out: {what}"))
    return Understood(((Column(name, "number", (), name, how), values),), notes)


def _codes(column: RawColumn, values: npt.NDArray[np.float64]) -> Understood:
    texts = [None if np.isnan(value) else f"{value:g}" for value in values]
    return _categories(RawColumn(column.name, np.array(texts, dtype=object), True), (), how="code")


def _quantities(column: RawColumn, quantities: Any, decimal: Decimal) -> Understood:
    units = sorted({quantity.unit for quantity in quantities.values()} - {""})
    numbers = {text: quantity.number for text, quantity in quantities.items()}
    note = f"column {column.name!r}: numbers with the unit{'s'[: len(units) > 1]} {_shown(units)}"
    how = f"quantity {sign_of(numbers, decimal)}"
    found = _numbers(column.name, _mapped(column.values, numbers), note, how=how)
    if len({quantity.unit for quantity in quantities.values()}) < 2 or not found.features:
        return found
    name = f"{column.name} unit"
    texts = [None if value is None else quantities[value].unit or "none" for value in column.values]
    units_of = RawColumn(name, np.array(texts, dtype=object), True)
    of_units = _categories(units_of, (), source=column.name, how=how.replace("quantity", "unit"))
    return Understood((*found.features, *of_units.features), (*found.notes, *of_units.notes))


def _dates(name: str, dates: Dates, wrong: Sequence[str] = ()) -> Understood:
    parts = expand(dates.values)
    if not parts:
        return Understood((), (f"column {name!r} left out: all its values are missing",))
    order = f", {dates.order}" if dates.order else ""
    notes = [f"column {name!r}: dates{order}, as {', '.join(part for part, _ in parts)}"]
    if wrong:
        notes.append(f"column {name!r}: {_shown(wrong)} is no date and read as missing")
    features = (
        (Column(f"{name} {part}", "number", (), name, f"{part} {dates.form}"), values)
        for part, values in parts
    )
    return Understood(tuple(features), tuple(notes))


def _categories(
    column: RawColumn, notes: tuple[str, ...], *, source: str = "", how: str = "text"
) -> Understood:
    """Positions in the sorted texts; those too rare for any training part are one level.

    Grouping them here loses nothing: the encoder would group them as well.
    """
    counts = Counter(value for value in column.values if value is not None)
    frequent = sorted(text for text, count in counts.items() if count >= RARE)
    gaps = len(column.values) - sum(counts.values())
    rare = len(counts) - len(frequent)
    names = (
        f"{len(counts):,} different texts such as {_shown(list(counts))}, none of them in "
        f"{RARE} rows: names, or free text"
    )
    if not frequent and rare and gaps < RARE:
        return _left_out(column, names)
    if len(frequent) + (rare > 0) + (gaps > 0) < 2:
        return _left_out(column, "it has one value only")
    position = {text: float(place) for place, text in enumerate(frequent)}
    values = np.array(
        [
            np.nan if value is None else position.get(value, float(len(frequent)))
            for value in column.values
        ]
    )
    levels = (*frequent, *((RARE_LEVEL,) if rare else ()))
    known = Column(column.name, "category", levels, source or column.name, how)
    said = f"column {column.name!r}: {len(counts):,} categories"
    if not frequent:
        said = f"column {column.name!r}: {names}; kept is whether there is one"
    elif rare or len(frequent) > MAX_LEVELS:
        said += f", those in fewer than {RARE} training rows share a column"
        said += f", as do all after the {MAX_LEVELS} most frequent" * (len(frequent) > MAX_LEVELS)
    return Understood(((known, values),), (*notes, said))


def _left_out(column: RawColumn, why: str) -> Understood:
    return Understood((), (f"column {column.name!r} left out: {why}",))


def _mapped(values: npt.NDArray[Any], numbers: dict[str, float]) -> npt.NDArray[np.float64]:
    return np.array([numbers.get(value, np.nan) for value in values], dtype=np.float64)


def _are_codes(distinct: Sequence[str]) -> bool:
    """Whether whole numbers are padded with zeros to one length, as codes are."""
    lengths = {len(text) for text in distinct}
    return len(lengths) == 1 and lengths != {1} and any(map(_CODE.fullmatch, distinct))


def _shown(texts: Sequence[str]) -> str:
    return some([repr(text[:30]) for text in texts])
