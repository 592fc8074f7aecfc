"""New rows are read as the rows were read that a model was trained on, one alone as well."""

import numpy as np
import pandas as pd
import pytest

from taylored.lab.data.errors import DataError
from taylored.lab.data.reading import Reading
from taylored.lab.data.tables.load import load_frame
from taylored.lab.data.tables.new_rows import features_of
from taylored.lab.data.tables.raw import from_frame
from taylored.lab.data.tables.understand import MISSING

ROWS = 60
RANDOM = np.random.default_rng(0)


def cycle(values):
    return [values[place % len(values)] for place in range(ROWS)]


DAYS = [f"{1 + (7 * n) % 28:02d}/{1 + n % 12:02d}/20{10 + n % 9}" for n in range(ROWS)]
FRAME = pd.DataFrame(
    {
        "typed": RANDOM.normal(size=ROWS),
        "gaps": [np.nan if n % 7 == 0 else 0.5 * (n * 37 % 60) for n in range(ROWS)],
        "flag": cycle([True, False, False]),
        "yes": cycle(["yes", "No", "YES"]),
        "day first": DAYS,
        "iso": [f"2024-0{1 + n % 9}-1{n % 5} 0{n % 7}:30" for n in range(ROWS)],
        "stamp": pd.to_datetime([f"202{n % 4}-05-0{1 + n % 9}" for n in range(ROWS)]),
        "weight": [f"{50 + (n * 13) % 31} kg" for n in range(ROWS)],
        "price": cycle(["3 usd", "5 eur", "2.5 usd", "4 eur"]),
        "colour": cycle(["red", "green", " blue ", "red", "?"]),
        "rare": [*cycle(["a", "b"])[:-3], "x", "y", "z"],
        "code": cycle(["007", "012", "100"]),
        "shoe": cycle([38, 39, 41]),
        "mostly": [f"{n * 17 % 60}.5" if n else "much" for n in range(ROWS)],
        "target": cycle(["p", "q", "q"]),
    }
)
GERMAN = pd.DataFrame(
    {"comma": [f"{n * 7 % 60},25" for n in range(ROWS)], "target": cycle(["p", "q"])}
)
READING = Reading(categories=["shoe"])


def again(columns, frame):
    return features_of(columns, from_frame(frame, "rows", None), MISSING)


@pytest.mark.parametrize("frame", [FRAME, GERMAN], ids=["dots", "commas"])
def test_the_same_rows_give_the_same_features(frame):
    reading = READING if frame is FRAME else Reading()
    raw = load_frame(frame, "target", reading)
    assert len(raw.columns) >= len(frame.columns) - 1
    np.testing.assert_array_equal(again(raw.columns, frame), raw.features)
    one_by_one = [again(raw.columns, frame.iloc[row : row + 1]) for row in range(0, ROWS, 3)]
    for row, found in zip(range(0, ROWS, 3), one_by_one, strict=True):
        np.testing.assert_array_equal(found[0], raw.features[row])


def test_the_order_of_columns_and_further_columns_do_not_matter():
    raw = load_frame(FRAME, "target", READING)
    other = FRAME[FRAME.columns[::-1]].assign(extra=1)
    np.testing.assert_array_equal(again(raw.columns, other), raw.features)


def test_a_day_is_read_first_where_the_training_rows_showed_it():
    raw = load_frame(FRAME, "target", READING)
    row = FRAME.iloc[:1].assign(**{"day first": "03/04/2020"})
    found = dict(zip([c.name for c in raw.columns], again(raw.columns, row)[0], strict=True))
    assert (found["day first day"], found["day first month"]) == (3, 4)


def test_what_training_did_not_have_is_rare_or_nothing():
    raw = load_frame(FRAME, "target", READING)
    row = FRAME.iloc[:1].assign(rare="new", colour="new", gaps="?", typed="12.5")
    found = dict(zip([c.name for c in raw.columns], again(raw.columns, row)[0], strict=True))
    levels = {column.name: column.levels for column in raw.columns}
    assert levels["rare"][int(found["rare"])] == "(rare)"
    assert found["colour"] == len(levels["colour"])
    assert np.isnan(found["gaps"])
    assert found["typed"] == 12.5


def test_a_missing_column_is_named():
    raw = load_frame(FRAME, "target", READING)
    with pytest.raises(DataError, match=r"'colour' are missing.*Did you mean 'Colour'"):
        again(raw.columns, FRAME.rename(columns={"colour": "Colour"}))


def test_a_column_that_cannot_be_used_is_named():
    raw = load_frame(FRAME, "target", READING)
    with pytest.raises(DataError, match="'typed' cannot be used: it holds complex numbers"):
        again(raw.columns, FRAME.assign(typed=FRAME["typed"] * 1j))
    with pytest.raises(DataError, match="column of dates holds numbers"):
        again(raw.columns, FRAME.assign(iso=3.0))


def test_every_column_says_how_it_was_made():
    raw = load_frame(FRAME, "target", READING)
    assert all(column.source in FRAME.columns and column.how for column in raw.columns)
