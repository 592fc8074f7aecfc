"""Columns that give the class away: left out, or named loudly."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kit.parts import parts
from taylored.lab.data import DataError, Dataset, Reading, from_frame, load

ROWS = 90
NOISE = np.random.default_rng(0).normal(size=ROWS)
LABELS = np.sort(np.arange(ROWS) % 3)  # by class, so that a row number gives it away
SHUFFLED = np.random.default_rng(1).permutation(ROWS)


def frame(**columns: Any) -> pd.DataFrame:
    kind = np.array(["cat", "dog", "eel"])[LABELS]
    return pd.DataFrame({**columns, "x": NOISE, "kind": kind})


def csv(folder: Path, table: pd.DataFrame, **settings: Any) -> str:
    table.to_csv(folder / "own.csv", **{"index": False, **settings})
    return str(folder / "own.csv")


def names(data: Dataset) -> list[str]:
    return [column.name for column in data.columns]


def warnings(data: Dataset) -> list[str]:
    return [note for note in data.card.notes if note.startswith("Warning: ")]


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("Id", np.arange(ROWS) + 1),  # Kaggle
        ("Unnamed: 0", SHUFFLED),  # a saved index of shuffled rows
        ("anything", np.arange(ROWS)[::-1] * 3),
        ("customerId", SHUFFLED**2 + 1000),
        ("order no", SHUFFLED**2),
        ("n", np.arange(ROWS) * 1.0),
    ],
)
def test_row_numbers_are_left_out_and_said(name: str, numbers: Any, tmp_path: Path) -> None:
    table = frame(**{name: numbers})
    for data in (load(csv(tmp_path, table), target="kind"), from_frame(table, "kind", Reading())):
        assert names(data) == ["x"]
        assert any(f"column {name!r} left out" in note for note in data.card.notes)
        kept = from_frame(table, "kind", Reading(keep=(name,)))
        assert names(kept) == [name, "x"]


def test_saved_index_and_row_names_of_r(tmp_path: Path) -> None:
    saved = load(csv(tmp_path, frame(), index=True), target="kind")
    assert names(saved) == ["x"]
    text = frame().to_csv(index=True, quoting=2).split(",", 1)[1]  # write.table has no name for it
    (tmp_path / "r.csv").write_text(text)
    data = load(tmp_path / "r.csv", target="kind")
    assert names(data) == ["x"]
    assert len(data.labels) == ROWS
    assert any("row names" in note for note in data.card.notes)


def test_names_of_rows_are_left_out(tmp_path: Path) -> None:
    data = load(csv(tmp_path, frame(id=[f"row_{n:03d}" for n in range(ROWS)])), target="kind")
    assert names(data) == ["x"]


def test_measurements_stay(tmp_path: Path) -> None:
    table = frame(age=SHUFFLED % 40, year=1990 + SHUFFLED % 30, size=SHUFFLED**2 % 9973)
    data = load(csv(tmp_path, table), target="kind")
    assert names(data) == ["age", "year", "size", "x"]
    assert warnings(data) == []


def test_a_measurement_in_the_order_of_the_rows_is_named(tmp_path: Path) -> None:
    data = load(csv(tmp_path, frame(seen=np.sort(NOISE))), target="kind")
    assert names(data) == ["seen", "x"]
    assert any("column 'seen' grows or falls from row to row" in text for text in warnings(data))


@pytest.mark.parametrize("again", [LABELS, np.array(["A", "B", "C"])[LABELS], 1.5 * LABELS])
def test_the_target_under_other_names_is_left_out(again: Any, tmp_path: Path) -> None:
    data = load(csv(tmp_path, frame(code=again)), target="kind")
    assert names(data) == ["x"]
    assert any("it is the target under other names" in note for note in data.card.notes)


@pytest.mark.parametrize(
    ("leak", "how"),
    [
        (LABELS * 2 + SHUFFLED % 2, "every one of its values has one class"),
        (np.array(list("abcdef"))[LABELS * 2 + SHUFFLED % 2], "every one of its values"),
        (LABELS * 2 + SHUFFLED / 100, "sorted by it, the rows are sorted by class"),
        (np.where(LABELS == 2, SHUFFLED % 30, np.nan), "in which it is missing never have it"),
    ],
)
def test_what_determines_the_target_is_named(leak: Any, how: str, tmp_path: Path) -> None:
    data = load(csv(tmp_path, frame(leak=leak)), target="kind")
    assert names(data) == ["leak", "x"]
    assert "column 'leak' alone determines the target" in warnings(data)[0]
    assert how in warnings(data)[0]


def test_what_nearly_determines_the_target_is_not(tmp_path: Path) -> None:
    near = LABELS.copy()
    near[0] = 1
    assert warnings(load(csv(tmp_path, frame(near=near)), target="kind")) == []


def test_the_target_twice_in_the_header(tmp_path: Path) -> None:
    rows = "".join(f"{NOISE[row]},{LABELS[row]},{LABELS[row]}\n" for row in range(ROWS))
    (tmp_path / "own.csv").write_text("x,kind,kind\n" + rows)
    data = load(tmp_path / "own.csv", target="kind")
    assert names(data) == ["x"]
    assert any("there twice with the same content" in note for note in data.card.notes)
    (tmp_path / "own.csv").write_text("x,kind, kind\n" + rows.replace(",2\n", ",1\n"))
    with pytest.raises(DataError, match="twice there with different content: 'kind'"):
        load(tmp_path / "own.csv", target="kind")


class TestCopies:
    def table(self, copies: int) -> pd.DataFrame:
        """A rare class that was written several times to balance it: the classic leak."""
        table = frame()
        return pd.concat([table, *[table[table.kind == "eel"]] * copies], ignore_index=True)

    @pytest.mark.parametrize("copies", [1, 4])
    def test_copies_stay_in_one_part(self, copies: int, tmp_path: Path) -> None:
        table = self.table(copies)
        data = load(csv(tmp_path, table), target="kind")
        assert any(f"{30 * copies} rows are copies of another" in note for note in data.card.notes)
        for seed in range(3):
            split = parts(data, seed)
            values = [set(table.x[rows]) for rows in split.all]
            assert not values[0] & values[1] | values[0] & values[2] | values[1] & values[2]
            counts = np.bincount(data.labels[split.test])
            assert counts.tolist() == [6, 6, 6 * (copies + 1)]

    def test_copies_with_another_class_stay_together_as_well(self, tmp_path: Path) -> None:
        table = frame()
        other = table.assign(kind="cat")[60:]
        both = pd.concat([table, other], ignore_index=True)
        data = load(csv(tmp_path, both), target="kind")
        for seed in range(3):
            split = parts(data, seed)
            assert not set(both.x[split.train]) & set(both.x[split.test])

    def test_few_combinations_are_no_copies(self, tmp_path: Path) -> None:
        table = pd.DataFrame({"a": SHUFFLED % 2, "b": SHUFFLED % 3, "kind": LABELS})
        data = load(csv(tmp_path, table), target="kind")
        assert data.groups is None
        assert any("few combinations of values" in note for note in data.card.notes)

    def test_a_class_of_copies_of_few_rows_is_left_out(self, tmp_path: Path) -> None:
        table = pd.concat([frame()[:62], *[frame()[60:62]] * 20], ignore_index=True)
        data = load(csv(tmp_path, table), target="kind")
        assert data.card.dropped == (("eel", 42),)
        assert "fewer than 3 without copies" in data.card.dropped_reason

    def test_copies_across_a_given_split_are_named(self, tmp_path: Path) -> None:
        features = np.repeat(NOISE[:30], 3)[:, None]
        split = np.tile([0, 1, 2], 30)
        np.savez(tmp_path / "own.npz", features=features, labels=np.arange(90) % 2, split=split)
        data = load(tmp_path / "own.npz")
        assert (
            warnings(data)[0] == "Warning: 60 rows of the given parts have a copy in another part"
        )


def test_numbers_inside_of_parts_are_named_and_hours_are_not() -> None:
    """A running number that begins again with every class, as in the raw penguins."""
    kind = np.repeat(["cat", "dog", "eel"], (152, 68, 124))
    number = np.concatenate([np.arange(n) + 1 for n in (152, 68, 124)])
    rows = len(kind)
    table = pd.DataFrame({"Sample Number": number, "x": np.arange(rows) ** 2 % 7, "kind": kind})
    found = from_frame(table, "kind", Reading())
    assert any(
        "column 'Sample Number' counts from row to row and begins 3 times" in text
        for text in warnings(found)
    )
    hours = pd.DataFrame({"hour": np.arange(rows) % 24, "x": number % 5, "kind": kind})
    assert not warnings(from_frame(hours, "kind", Reading()))


def test_names_that_nearly_tell_the_class_are_named_loudly() -> None:
    """Tail numbers of aeroplanes: a few were sold to another airline, and are of two classes."""
    rng = np.random.default_rng(5)
    plane = rng.integers(0, 100, 1000)
    airline = np.array(["AA", "B6", "UA", "WN"])[plane % 4]
    airline[:8] = "UA"  # sold
    table = pd.DataFrame({"tail": [f"N{n}" for n in plane], "x": rng.random(1000), "y": airline})
    found = from_frame(table, "y", Reading())
    assert any(
        "column 'tail' alone determines the target: 0." in text
        and "% of the rows have another class than most of their value" in text
        for text in warnings(found)
    )
    airline = np.where(rng.random(1000) < 0.01, "rare", "usual")  # 99 % right without any column
    table = table.assign(y=airline)
    assert not warnings(from_frame(table, "y", Reading()))
