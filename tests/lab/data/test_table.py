"""Tables of one's own, and what goes wrong with them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taylored.lab.data import DataError, load
from taylored.lab.data.formats.table import MAX_LEVELS

ROWS = 30
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 3))
LABELS = np.arange(ROWS) % 3


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": FEATURES[:, 0], "b": np.arange(ROWS), "kind": LABELS, **columns})


def csv(folder: Path, table: pd.DataFrame) -> str:
    table.to_csv(folder / "own.csv", index=False)
    return str(folder / "own.csv")


class TestTable:
    @pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
    def test_numbers_text_and_booleans(self, suffix: str, tmp_path: Path) -> None:
        table = frame(colour=np.array(["red", "blue"])[np.arange(ROWS) % 2], flag=LABELS == 1)
        file = tmp_path / f"own{suffix}"
        if suffix == ".parquet":
            table.to_parquet(file)
        else:
            table.to_csv(file, index=False)
        data = load(str(file), target="kind")
        even = (np.arange(ROWS) % 2 == 0).astype(float)
        expected = np.column_stack(
            [FEATURES[:, 0], np.arange(ROWS), 1 - even, even, (LABELS == 1).astype(float)]
        )
        np.testing.assert_array_equal(data.features, expected.astype(np.float32))
        np.testing.assert_array_equal(data.labels, LABELS)
        assert data.card.notes == ("column 'colour' one-hot encoded, 2 levels",)
        assert str(tmp_path) not in str(data.card)

    def test_text_target(self, tmp_path: Path) -> None:
        table = frame(kind=np.array(["dog", "cat", "eel"])[LABELS])
        data = load(csv(tmp_path, table), target="kind")
        assert data.class_names == ("cat", "dog", "eel")
        assert data.labels[:3].tolist() == [1, 0, 2]

    def test_parquet_categories(self, tmp_path: Path) -> None:
        names = np.array(["x", "y", "z"])[LABELS]
        table = frame(zone=pd.Categorical(names), kind=pd.Categorical(names))
        table.to_parquet(tmp_path / "own.parquet")
        data = load(str(tmp_path / "own.parquet"), target="kind")
        assert data.class_names == ("x", "y", "z")
        np.testing.assert_array_equal(data.features[:, 2:], np.eye(3)[LABELS])

    def test_row_numbers_are_left_out_and_said(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "own.csv")
        data = load(str(tmp_path / "own.csv"), target="kind")
        assert data.features.shape == (ROWS, 2)
        assert "only numbers the rows" in data.card.notes[0]

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (None, r"say which column holds the classes with target=.*'a', 'b', 'kind'"),
            ("Kind", r"no column 'Kind'.*Did you mean 'kind'"),
            ("zzz", r"no column 'zzz'; its columns are 'a', 'b', 'kind'\.$"),
            ("a", "Cut a continuous target into classes"),
            ("b", "fewer than 2 classes have at least 5 samples"),
        ],
    )
    def test_target_errors(self, target: str | None, message: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=message):
            load(csv(tmp_path, frame()), target=target)

    def test_missing_values_are_located(self, tmp_path: Path) -> None:
        colour = ["red"] * ROWS
        colour[6] = None
        table = frame(colour=colour)
        table.loc[2, "a"] = np.nan
        with pytest.raises(DataError, match=r"columns 'a', 'colour', rows 3, 7 \(counted from"):
            load(csv(tmp_path, table), target="kind")

    def test_missing_target_value(self, tmp_path: Path) -> None:
        kind: list[str | None] = ["x", "y"] * 15
        kind[4] = None
        with pytest.raises(DataError, match=r"columns 'kind', rows 5 "):
            load(csv(tmp_path, frame(kind=kind)), target="kind")

    def test_infinite_values_are_located(self, tmp_path: Path) -> None:
        table = frame(colour=["red", "blue"] * 15)
        table.loc[9, "a"] = np.inf
        with pytest.raises(DataError, match=r"columns 'a', rows 10 \(counted from 1\)"):
            load(csv(tmp_path, table), target="kind")

    @pytest.mark.parametrize("levels", [MAX_LEVELS, MAX_LEVELS + 1])
    def test_number_of_levels_is_limited(self, levels: int, tmp_path: Path) -> None:
        rows = np.arange(60)
        table = pd.DataFrame({"id": [f"u{row % levels}" for row in rows], "kind": rows % 2})
        if levels == MAX_LEVELS:
            assert load(csv(tmp_path, table), target="kind").features.shape == (60, levels)
        else:
            with pytest.raises(DataError, match="'id' has 51 different texts"):
                load(csv(tmp_path, table), target="kind")

    def test_dates_are_refused(self, tmp_path: Path) -> None:
        table = frame(when=pd.date_range("2020-01-01", periods=ROWS))
        table.to_parquet(tmp_path / "own.parquet")
        with pytest.raises(DataError, match="column 'when' holds values of kind 'datetime"):
            load(str(tmp_path / "own.parquet"), target="kind")

    def test_lists_are_refused(self, tmp_path: Path) -> None:
        frame(many=[[1, 2]] * ROWS).to_parquet(tmp_path / "own.parquet")
        with pytest.raises(DataError, match="column 'many' holds values of kind 'mixed'"):
            load(str(tmp_path / "own.parquet"), target="kind")

    @pytest.mark.parametrize("missing", [True, False])
    def test_nullable_integers(self, missing: bool, tmp_path: Path) -> None:
        values = pd.array([None if missing and row == 3 else row for row in range(ROWS)], "Int64")
        frame(b=values).to_parquet(tmp_path / "own.parquet")
        if missing:
            with pytest.raises(DataError, match="missing values in columns 'b', rows 4"):
                load(str(tmp_path / "own.parquet"), target="kind")
        else:
            data = load(str(tmp_path / "own.parquet"), target="kind")
            np.testing.assert_array_equal(data.features[:, 1], np.arange(ROWS))

    def test_numbers_spoilt_by_a_few_texts_are_named(self, tmp_path: Path) -> None:
        values = [str(row) for row in range(ROWS)]
        values[7], values[9] = "?", "n.d."
        with pytest.raises(DataError, match=r"column 'b' holds numbers, but also .*'\?', 'n.d.'"):
            load(csv(tmp_path, frame(b=values)), target="kind")

    def test_text_codes_are_levels(self, tmp_path: Path) -> None:
        frame(b=[str(row % 4) for row in range(ROWS)]).to_parquet(tmp_path / "own.parquet")
        assert load(str(tmp_path / "own.parquet"), target="kind").features.shape == (ROWS, 5)

    def test_rows_longer_than_the_header_never_shift_the_columns(self, tmp_path: Path) -> None:
        rows = "".join(f"{row},{row % 2},{row % 3}\n" for row in range(ROWS))
        (tmp_path / "own.csv").write_text("a,kind\n" + rows)
        with pytest.raises(DataError, match="cannot be read as a table"):
            load(str(tmp_path / "own.csv"), target="kind")

    def test_other_separator_is_recognised(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "own.csv", index=False, sep=";")
        with pytest.raises(DataError, match="separated by semicolons"):
            load(str(tmp_path / "own.csv"), target="kind")

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("own.csv", b"", "cannot be read as a table"),
            ("own.csv", b"a,kind\n", "no rows"),
            ("own.csv", b"kind\n1\n2\n", "no columns besides"),
            ("own.csv", b"a,kind\n1,2\n1,2,3,4\n", "cannot be read as a table"),
            ("own.csv", b"\xff\xfe\x00a,kind\n\xff", "cannot be read as a table"),
            ("own.parquet", b"not parquet", "cannot be read as a table"),
            ("own.xlsx", b"", "Expected .npz, .csv, .parquet or a folder"),
            ("own", b"", "cannot tell the format"),
        ],
    )
    def test_unusable_files(self, name: str, content: bytes, message: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        target = "kind" if Path(name).suffix in (".csv", ".parquet") else None
        with pytest.raises(DataError, match=re.escape(message)):
            load(str(tmp_path / name), target=target)


def test_missing_pandas_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    file = csv(tmp_path, frame())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DataError, match=re.escape('pip install "taylored[lab]"')):
        load(file, target="kind")


def test_missing_pyarrow_names_the_extra(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "own.parquet")
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from taylored.lab.data import load, DataError\n"
        "try: load(sys.argv[1], target='kind')\n"
        "except DataError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "own.parquet")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 'pip install "taylored[lab]"' in output
