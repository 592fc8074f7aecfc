"""Texts that are numbers, quantities or dates."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taylored.lab.data.tables.dates import expand, to_dates
from taylored.lab.data.tables.numbers import find_decimal, to_number, to_numbers, to_quantities


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1", ".", 1.0),
        ("-1.5e3", ".", -1500.0),
        ("\u22121.5", ".", -1.5),
        ("1,234,567.5", ".", 1234567.5),
        ("1 234 567", ".", 1234567.0),
        ("1'234.5", ".", 1234.5),
        ("1.234.567,5", ",", 1234567.5),
        ("1\u202f234,5", ",", 1234.5),
        ("0,5", ",", 0.5),
        ("1_000", ".", None),
        ("1,5", ".", None),
        ("1.5", ",", None),
        ("nan", ".", None),
        ("inf", ".", None),
        ("", ",", None),
        (",", ",", None),
        ("12a", ".", None),
        ("0x10", ".", None),
        ("1 2", ".", None),
    ],
)
def test_numbers(text: str, decimal: Any, number: float | None) -> None:
    assert to_number(text, decimal) == number


@pytest.mark.parametrize(
    ("columns", "comma", "decimal"),
    [
        ([["1,5", "2,25"]], False, ","),
        ([["1.5", "2.25"]], False, "."),
        ([["1,500", "2,250"]], True, "."),  # thousands in quotes
        ([["1,500", "2,250"], ["0,5"]], False, ","),
        ([["1,500", "2,250"]], False, ","),
        ([["1,500", "2,250"], ["0.5"]], False, "."),
        ([["x", "y"], []], False, "."),
    ],
)
def test_decimal_sign_of_a_file(columns: list[list[str]], comma: bool, decimal: str) -> None:
    assert find_decimal(columns, separator_is_comma=comma) == decimal


def test_a_column_may_have_the_other_decimal_sign() -> None:
    assert to_numbers(["1,5", "2,25"], ".") == {"1,5": 1.5, "2,25": 2.25}


@pytest.mark.parametrize(
    ("texts", "numbers", "units"),
    [
        (["1.5 kg", "2kg"], [1.5, 2.0], {"kg"}),
        (["$1,200", "$5"], [1200.0, 5.0], {"$"}),
        (["12 %", "7%"], [12.0, 7.0], {"%"}),
        (["5 €", "7"], [5.0, 7.0], {"€", ""}),
        (["USD 5", "EUR 7"], [5.0, 7.0], {"USD", "EUR"}),
        (["500 g", "1.2 kg"], [500.0, 1.2], {"g", "kg"}),
        (["1248 CC", "998 CC"], [1248.0, 998.0], {"CC"}),
        (["70,5 kg", "1.070,5 kg"], [70.5, 1070.5], {"kg"}),
    ],
)
def test_quantities(texts: list[str], numbers: list[float], units: set[str]) -> None:
    found = to_quantities(texts, ".")
    assert found is not None
    assert [found[text].number for text in texts] == numbers
    assert {quantity.unit for quantity in found.values()} == units


@pytest.mark.parametrize(
    "texts", [["12a", "12b"], ["C85", "E46"], ["1st", "2nd"], ["5-7 kg", "3 kg"], ["a", "b"], ["1"]]
)
def test_codes_are_no_quantities(texts: list[str]) -> None:
    assert to_quantities(texts, ".") is None


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["2024-02-29", "2024-03-01"], "2024-02-29"),
        (["2024-02-29 13:05:00", "2024-03-01 00:00:00"], "2024-02-29T13:05"),
        (["2024-02-29T13:05:00+02:00", "2024-03-01T00:00:00Z"], "2024-02-29T11:05"),
        (["29.02.2024", "01.03.2024"], "2024-02-29"),
        (["29/02/2024", "01/03/2024"], "2024-02-29"),
        (["02/29/2024", "03/01/2024"], "2024-02-29"),
        (["29-Feb-2024", "01-Mar-2024"], "2024-02-29"),
        (["February 29, 2024", "March 1, 2024"], "2024-02-29"),
        (["29/02/24 13:05", "01/03/24 00:00"], "2024-02-29T13:05"),
        (["02/29/2024 1:05 PM", "03/01/2024 12:00 AM"], "2024-02-29T13:05"),
        (["Feb 29 2024", "Mar 01 2024"], "2024-02-29"),
        (["2024 Feb 29", "2024 Mar 1"], "2024-02-29"),
        (["Thu, 29 Feb 2024 13:05:00", "Fri, 01 Mar 2024 00:00:00"], "2024-02-29T13:05"),
        (["February 2024", "March 2024"], "2024-02-01"),
        (["1066-10-14", "9999-12-31"], "1066-10-14"),
    ],
)
def test_dates(texts: list[str], first: str) -> None:
    found = to_dates(pd, texts)
    assert found is not None
    dates = found.values
    assert dates[0] == np.datetime64(first)
    assert not np.isnat(dates).any()


def test_a_doubtful_order_is_said() -> None:
    found = to_dates(pd, ["01/02/2024", "03/04/2024"])
    assert found is not None
    assert found[1] == "read month first; whether the day comes first cannot be seen"


def test_a_few_impossible_dates_are_missing() -> None:
    texts = [f"2024-01-{day:02d}" for day in range(1, 31)] + ["0000-00-00"]
    found = to_dates(pd, texts)
    assert found is not None
    assert np.isnat(found[0]).nonzero()[0].tolist() == [30]


@pytest.mark.parametrize(
    "texts",
    [
        ["a-b"],
        ["10-20", "20-30"],
        ["1.2.3"],
        ["Mon"],
        ["may 5"],
        ["Jan-20"],
        ["12", "13"],
        ["A-100"],
    ],
)
def test_other_texts_are_no_dates(texts: list[str]) -> None:
    assert to_dates(pd, texts) is None


def test_parts_of_the_calendar() -> None:
    dates = np.array(["2024-02-29T06:00", "NaT", "1969-12-31T18:00"], dtype="datetime64[us]")
    parts = dict(expand(dates))
    assert set(parts) == {"time", "month", "day", "weekday", "hour"}
    assert parts["weekday"][[0, 2]].tolist() == [3, 2]  # Thursday, Wednesday
    assert parts["hour"][[0, 2]].tolist() == [6, 18]
    assert parts["month"][[0, 2]].tolist() == [2, 12]
    assert parts["day"][[0, 2]].tolist() == [29, 31]
    assert parts["time"][[0, 2]].tolist() == [19782.25, -0.25]
    assert all(math.isnan(values[1]) for values in parts.values())


def test_parts_that_never_change_are_left_out() -> None:
    dates = np.array(["2024-02-01", "2024-02-08"], dtype="datetime64[us]")
    assert [name for name, _ in expand(dates)] == ["time", "day"]
