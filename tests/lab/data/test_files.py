"""Arrays and tables of one's own, and what goes wrong with them."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taylored.lab.data import DataError, load, make_split
from taylored.lab.data.formats.table import MAX_LEVELS

ROWS = 30
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 3))
LABELS = np.arange(ROWS) % 3


def npz(folder: Path, **arrays: Any) -> str:
    file = folder / "own.npz"
    np.savez(file, **{"features": FEATURES, "labels": LABELS, **arrays})
    return str(file)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": FEATURES[:, 0], "b": np.arange(ROWS), "kind": LABELS, **columns})


def csv(folder: Path, table: pd.DataFrame) -> str:
    table.to_csv(folder / "own.csv", index=False)
    return str(folder / "own.csv")


class TestNpz:
    def test_vectors(self, tmp_path: Path) -> None:
        data = load(npz(tmp_path))
        np.testing.assert_array_equal(data.features, FEATURES.astype(np.float32))
        np.testing.assert_array_equal(data.labels, LABELS)
        assert (data.kind, data.name, data.class_names) == ("vector", "own", ("0", "1", "2"))
        assert str(tmp_path) not in str(data.card)

    @pytest.mark.parametrize(
        ("labels", "names", "first"),
        [
            (np.array([7, -2, 10])[LABELS], ("-2", "7", "10"), 1),
            (np.array(["cat", "bee", "ant"])[LABELS], ("ant", "bee", "cat"), 2),
            (LABELS.astype(float), ("0", "1", "2"), 0),
            (LABELS == 0, ("False", "True"), 1),
            (LABELS.astype(np.uint8), ("0", "1", "2"), 0),
        ],
    )
    def test_labels_of_any_plain_kind(self, labels, names, first, tmp_path: Path) -> None:
        data = load(npz(tmp_path, labels=labels))
        assert data.class_names == names
        assert data.labels[0] == first

    @pytest.mark.parametrize(
        ("shape", "expected"), [((ROWS, 5, 4), (ROWS, 1, 5, 4)), ((ROWS, 3, 5, 4),) * 2]
    )
    def test_images(self, shape, expected, tmp_path: Path) -> None:
        data = load(npz(tmp_path, features=np.ones(shape, np.uint8)))
        assert data.kind == "image"
        assert data.features.shape == expected

    def test_class_names_and_split(self, tmp_path: Path) -> None:
        split = np.repeat([0, 1, 2], 10)
        names = np.array(["x", "y", "z", "never"])
        data = load(npz(tmp_path, class_names=names, split=split))
        assert data.class_names == ("x", "y", "z")
        assert data.card.dropped == (("never", 0),)
        assert make_split(data, 0).test.tolist() == list(range(20, 30))

    def test_tiny_classes_are_dropped_and_said(self, tmp_path: Path) -> None:
        labels = np.array([5] * 4 + [1] * 13 + [9] * 13)
        data = load(npz(tmp_path, labels=labels))
        assert data.class_names == ("1", "9")
        assert data.card.dropped == (("5", 4),)
        np.testing.assert_array_equal(data.features, FEATURES[4:].astype(np.float32))
        assert np.unique(data.labels).tolist() == [0, 1]
        assert load(npz(tmp_path, labels=labels), min_per_class=4).card.dropped == ()

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"labels": np.zeros(ROWS, int)}, "at least 2 classes, found 1 ('0')"),
            ({"labels": np.arange(ROWS)}, "fewer than 2 classes have at least 5"),
            ({"labels": LABELS[:9]}, "labels must have shape (30,)"),
            ({"labels": np.eye(3)[LABELS]}, "labels.argmax(axis=1)"),
            ({"labels": LABELS + 0.5}, "Cut a continuous target into classes"),
            ({"labels": np.full(ROWS, np.nan)}, "fractions or NaN"),
            ({"labels": LABELS.astype(bytes)}, "whole numbers or text"),
            ({"features": FEATURES[:, 0]}, "must have shape (N, D)"),
            ({"features": FEATURES[:0], "labels": LABELS[:0]}, "not be empty"),
            ({"features": FEATURES.astype(str)}, "real numbers"),
            ({"features": FEATURES * 1j}, "real numbers"),
            ({"features": np.ones((ROWS, 8, 8, 3))}, "features.transpose(0, 3, 1, 2)"),
            ({"class_names": np.array(["x", "y"])}, "0 .. 1"),
            ({"class_names": np.array(["x", "x", "y"])}, "distinct"),
            ({"split": LABELS + 1}, "0 (train), 1 (validation) and 2 (test)"),
            ({"split": np.zeros(ROWS, int)}, "no validation samples"),
            ({"split": LABELS}, "validation part has classes that training lacks: '1'"),
            ({"split": np.zeros(3, int)}, "split must have shape (30,)"),
        ],
    )
    def test_errors_say_what_to_do(self, arrays, message: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=re.escape(message)):
            load(npz(tmp_path, **arrays))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    def test_values_that_are_not_finite_are_located(self, value, tmp_path: Path) -> None:
        features = FEATURES.copy()
        features[[4, 16], 1] = value
        with pytest.raises(DataError, match=r"columns 2, rows 5, 17 \(counted from 1\)"):
            load(npz(tmp_path, features=features))

    def test_many_bad_rows_are_counted(self, tmp_path: Path) -> None:
        features = np.ones((ROWS, 1, 4, 4))
        features[3:25, 0, 1, 1] = np.nan
        with pytest.raises(DataError, match="rows 4, 5, 6, 7, 8 and 17 more"):
            load(npz(tmp_path, features=features))

    def test_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
                return open, (str(tmp_path / "trap"), "w")

        np.savez(tmp_path / "own.npz", features=FEATURES, labels=np.array([Trap()] * ROWS))
        with pytest.raises(DataError, match=re.escape("labels.astype(str)")):
            load(str(tmp_path / "own.npz"))
        assert not (tmp_path / "trap").exists()

    def test_missing_array_names_the_nearest(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "own.npz", feature=FEATURES, labels=LABELS)
        with pytest.raises(DataError, match=r"'features' is missing.*Did you mean 'feature'"):
            load(str(tmp_path / "own.npz"))

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
    def test_damaged_file(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "own.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"own\.npz: the file cannot be read"):
            load(str(tmp_path / "own.npz"))

    def test_flipped_bits_are_found(self, tmp_path: Path) -> None:
        file = Path(npz(tmp_path))
        content = bytearray(file.read_bytes())
        content[400] ^= 255
        file.write_bytes(content)
        with pytest.raises(DataError, match="array 'features' cannot be read"):
            load(str(file))

    def test_bare_array(self, tmp_path: Path) -> None:
        with (tmp_path / "own.npz").open("wb") as stream:
            np.save(stream, FEATURES)
        with pytest.raises(DataError, match="one bare array"):
            load(str(tmp_path / "own.npz"))

    def test_target_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="Leave target out"):
            load(npz(tmp_path), target="labels")


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


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    csv(tmp_path, frame())
    with pytest.raises(DataError, match=r"does not exist\. Did you mean 'own.csv'"):
        load(str(tmp_path / "own.cvs"))
    with pytest.raises(DataError, match="nor does its folder"):
        load(str(tmp_path / "no" / "own.csv"), target="kind")


def test_path_that_the_system_refuses() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load("x" * 5000)


def test_name_of_a_file_here_is_suggested(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    with pytest.raises(DataError, match="Did you mean 'photographs'"):
        load("photograph")


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


def test_error_inside_an_optional_package_stays_visible(tmp_path: Path, monkeypatch) -> None:
    from taylored.lab.data.optional import require

    (tmp_path / "half_installed.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        require("half_installed", extra="lab", purpose="This test")


def test_import_loads_no_optional_package() -> None:
    code = (
        "import sys, taylored.lab.data\n"
        "print([m for m in ('pandas', 'PIL', 'sklearn', 'platformdirs') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
