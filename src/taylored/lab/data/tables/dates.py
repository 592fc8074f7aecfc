"""Texts as dates, and dates as numbers."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

_ISO: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}.*)?")
_LOOKS_LIKE_DATE: Final = re.compile(
    r"(?=.*\d).*(?:\d[-/.]\d|[A-Za-z]{3}.*\d|\d.*[A-Za-z]{3}|\d:\d\d).*"
)
_DAYS: Final = (
    ("%Y/%m/%d", ""),
    ("%Y.%m.%d", ""),
    ("%Y %b %d", ""),
    ("%Y-%b-%d", ""),
    ("%Y-%m", ""),
    ("%m/%Y", ""),
    ("%d.%m.%Y", ""),
    ("%d.%m.%y", ""),
    ("%m/%d/%Y", "month first"),
    ("%d/%m/%Y", "day first"),
    ("%m-%d-%Y", "month first"),
    ("%d-%m-%Y", "day first"),
    ("%m/%d/%y", "month first"),
    ("%d/%m/%y", "day first"),
    ("%d %b %Y", ""),
    ("%d-%b-%Y", ""),
    ("%d-%b-%y", ""),
    ("%d %B %Y", ""),
    ("%d %b %y", ""),
    ("%d %b, %Y", ""),
    ("%b %d, %Y", ""),
    ("%B %d, %Y", ""),
    ("%b %d %Y", ""),
    ("%B %d %Y", ""),
    ("%a %d %b %Y", ""),
    ("%a, %d %b %Y", ""),
    ("%a %b %d %Y", ""),
    ("%b %Y", ""),
    ("%B %Y", ""),
    ("%b-%Y", ""),
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_MOST_WRONG: Final = 0.05
"""Share of texts that may be no date (0000-00-00) in a column of dates."""


class Dates(NamedTuple):
    """Texts as datetime64 (NaT where one is none), how they were read in words, and the format.

    The format is that of `strptime`; it is empty for ISO 8601.
    """

    values: npt.NDArray[Any]
    order: str
    form: str


def to_dates(pandas: Any, texts: Sequence[str]) -> Dates | None:
    """Distinct texts as dates, or None where they are no such column."""
    allowed = int(_MOST_WRONG * len(texts))
    looks = [text for text in texts if _LOOKS_LIKE_DATE.fullmatch(text)]
    if not looks or len(texts) - len(looks) > allowed:
        return None
    series = pandas.Series(list(texts), dtype=object)
    if sum(_ISO.fullmatch(text) is None for text in texts) <= allowed:
        dates = parse_dates(pandas, series, "")
        return None if np.isnat(dates).sum() > allowed else Dates(dates, "", "")
    for (day, order), time in product(_DAYS, _TIMES):
        if not any(_parses(text, day + time) for text in looks[: allowed + 1]):
            continue
        dates = parse_dates(pandas, series, day + time)
        if np.isnat(dates).sum() <= allowed:
            other = _other_order(day)
            both = other is not None and all(_parses(text, other + time) for text in looks)
            doubt = f"read {order}; whether the day comes first cannot be seen" if both else order
            return Dates(dates, doubt, day + time)
    return None


def parse_dates(pandas: Any, series: Any, form: str) -> npt.NDArray[Any]:
    """Texts as datetime64 by one format, NaT where it does not fit; empty means ISO 8601."""
    if not form:
        found = pandas.to_datetime(series, format="ISO8601", errors="coerce", utc=True)
        found = found.dt.tz_localize(None)
    else:
        found = pandas.to_datetime(series, format=form, errors="coerce")
    dates: npt.NDArray[Any] = found.to_numpy().astype("datetime64[us]")
    return dates


def expand(dates: npt.NDArray[Any]) -> list[tuple[str, npt.NDArray[np.float64]]]:
    """The time in days, and parts of the calendar, as numbers; NaN where the date is missing.

    Parts that are the same in all rows are left out.
    """
    kept = []
    for name, values in calendar(dates).items():
        present = values[~np.isnan(values)]
        if len(present) and (name == "time" or present.min() < present.max()):
            kept.append((name, values))
    return kept


def calendar(dates: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """The same with all parts."""
    missing = np.isnat(dates)
    whole = dates.astype("datetime64[D]")
    months = whole.astype("datetime64[M]")
    microseconds = dates.astype("datetime64[us]").astype(np.int64)
    days = whole.astype(np.int64)
    parts = [
        ("time", microseconds / 86_400e6),
        ("month", months.astype(np.int64) % 12 + 1),
        ("day", (whole - months).astype(np.int64) + 1),
        ("weekday", (days + 3) % 7),
        ("hour", (microseconds - days * 86_400_000_000) / 3600e6),
    ]
    return {name: np.where(missing, np.nan, part.astype(np.float64)) for name, part in parts}


def _parses(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _other_order(form: str) -> str | None:
    """The same with day and month exchanged, where both are numbers at the front."""
    first, second = form[:2], form[3:5]
    if {first, second} != {"%d", "%m"} or form[2] == ".":
        return None
    return second + form[2] + first + form[5:]
