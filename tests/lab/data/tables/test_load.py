"""Tables of one's own, as people have them, and what goes wrong with them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kit.parts import parts
from taylored.lab.data import DataError, Dataset, Reading, encode, from_frame, load
from taylored.lab.data.columns import MAX_LEVELS, RARE

ROWS = 60
FEATURES = np.random.default_rng(0).normal(size=(ROWS, 3))
LABELS = np.arange(ROWS) % 3
B = np.arange(ROWS) * 7 % 11


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": FEATURES[:, 0], "b": B, "kind": LABELS, **columns})


def csv(folder: Path, table: pd.DataFrame, **settings: Any) -> str:
    table.to_csv(folder / "own.csv", index=False, **settings)
    return str(folder / "own.csv")


def written(folder: Path, text: str, name: str = "own.csv", encoding: str = "utf-8") -> str:
    (folder / name).write_bytes(text.encode(encoding))
    return str(folder / name)


def names(data: Dataset) -> list[str]:
    return [column.name for column in data.columns]


def values(data: Dataset, name: str) -> np.ndarray:
    return data.features[:, names(data).index(name)]


def said(data: Dataset) -> str:
    return "\n".join(data.card.notes)


def encoded(data: Dataset) -> np.ndarray:
    return encode(data.columns, data.features, np.ones(len(data.labels), dtype=np.bool_))


class TestKinds:
    @pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
    def test_numbers_text_and_booleans(self, suffix: str, tmp_path: Path) -> None:
        flag = np.arange(ROWS) % 5 == 1
        table = frame(colour=np.array(["red", "blue"])[np.arange(ROWS) % 2], flag=flag)
        file = tmp_path / f"own{suffix}"
        if suffix == ".parquet":
            table.to_parquet(file)
        else:
            table.to_csv(file, index=False)
        data = load(str(file), target="kind")
        even = (np.arange(ROWS) % 2 == 0).astype(float)
        expected = np.column_stack([FEATURES[:, 0], B, flag, 1 - even, even])
        np.testing.assert_array_equal(encoded(data), expected)
        np.testing.assert_array_equal(data.labels, LABELS)
        assert "column 'colour': 2 categories" in data.card.notes
        assert str(tmp_path) not in str(data.card)

    def test_a_data_frame_and_its_index(self) -> None:
        table = frame().set_index(pd.Index([f"row {n}" for n in range(ROWS)]))
        data = from_frame(table, "kind", Reading())
        assert names(data) == ["a", "b"]
        assert data.card.source == "table data frame, target column kind"

    def test_unix_times_keep_their_digits(self, tmp_path: Path) -> None:
        seconds = 1.7e9 + np.arange(ROWS) * 37 % 50
        data = load(csv(tmp_path, frame(t=seconds)), target="kind")
        assert len(np.unique(values(data, "t"))) == 50

    def test_missing_values_are_imputed_with_an_indicator(self, tmp_path: Path) -> None:
        colour = np.array(["red", "blue", ""])[np.arange(ROWS) % 3 * (np.arange(ROWS) % 2)]
        table = frame(colour=colour)
        table["a"] = ["" if row in (2, 9) else str(value) for row, value in enumerate(table["a"])]
        data = load(csv(tmp_path, table), target="kind")
        assert np.isnan(values(data, "a")).nonzero()[0].tolist() == [2, 9]
        assert "missing values in 'a' (3.3%), 'colour' (" in said(data)
        made = encoded(data)
        # a and b, the indicator of a, then blue, red and missing.
        assert made.shape == (ROWS, 6)
        assert made[2, 0] == np.nanmedian(values(data, "a"))
        assert made[:, 2].nonzero()[0].tolist() == [2, 9]
        assert made[:, 3:].sum(axis=1).tolist() == [1.0] * ROWS

    def test_rows_without_a_class_are_left_out_and_counted(self, tmp_path: Path) -> None:
        kind = ["x", "y", "z"] * 20
        kind[4], kind[7] = "", "NA"
        data = load(csv(tmp_path, frame(kind=kind)), target="kind")
        assert len(data.labels) == ROWS - 2
        assert "2 rows without a class left out" in said(data)

    def test_none_may_be_a_class(self, tmp_path: Path) -> None:
        kind = np.array(["None", "Minor", "Major"])[LABELS]
        assert load(csv(tmp_path, frame(kind=kind)), target="kind").class_names[2] == "None"

    def test_na_names_what_is_missing(self, tmp_path: Path) -> None:
        kind = np.array(["NA", "DE", "FR"])[LABELS]
        b = [-999 if row == 5 else value for row, value in enumerate(B)]
        reading = Reading(na=["-999"])
        data = load(csv(tmp_path, frame(kind=kind, b=b)), target="kind", reading=reading)
        assert data.class_names == ("DE", "FR", "NA")
        assert np.isnan(values(data, "b")).nonzero()[0].tolist() == [5]

    def test_any_number_of_categories(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        city = [f"city {n}" for n in [*rng.integers(0, 100, 1700), *range(100, 400)]]
        table = pd.DataFrame(
            {"city": city, "x": rng.normal(size=2000), "kind": np.arange(2000) % 2}
        )
        data = load(csv(tmp_path, table), target="kind")
        assert encoded(data).shape == (2000, 1 + MAX_LEVELS + 1)
        assert f"all after the {MAX_LEVELS} most frequent" in said(data)

    def test_rare_categories_share_a_column(self, tmp_path: Path) -> None:
        zone = ["north"] * 20 + ["south"] * 20 + ["east"] * 16 + ["p", "q", "r", "s"]
        zone = np.array(zone)[np.arange(ROWS) * 7 % ROWS]
        made = encoded(load(csv(tmp_path, frame(zone=zone)), target="kind"))
        assert made[:, 2:].sum(axis=0).tolist() == [16, 20, 20, 4]

    def test_a_category_that_training_lacks_is_rare(self, tmp_path: Path) -> None:
        zone = np.array(["north"] * 30 + ["south"] * 20 + ["p"] * 10)
        data = load(csv(tmp_path, frame(zone=zone)), target="kind")
        training = np.arange(ROWS) < 50
        made = encode(data.columns, data.features, training)
        assert made.shape[1] == 4  # p is not in training, so it is neither of the two
        assert made[50:, 2:].sum() == 0

    def test_nothing_is_learnt_from_rows_outside_training(self, tmp_path: Path) -> None:
        table = frame(zone=np.array(["north", "south", "p"])[np.arange(ROWS) % 5 % 3])
        table.loc[3, "a"] = np.nan
        data = load(csv(tmp_path, table), target="kind")
        training = np.arange(ROWS) < 40
        made = encode(data.columns, data.features, training)
        other = data.features.copy()
        other[40:] = other[40:][::-1] * [1000, 1, 1]
        again = encode(data.columns, other, training)
        np.testing.assert_array_equal(made[:40], again[:40])

    def test_names_and_free_text_are_left_out_and_said(self, tmp_path: Path) -> None:
        table = frame(name=[f"Mrs. {n * 7 % 61} Smith" for n in range(ROWS)])
        data = load(csv(tmp_path, table), target="kind")
        assert names(data) == ["a", "b"]
        assert f"'name' left out: {ROWS} different texts" in said(data)
        assert f"none of them in {RARE} rows" in said(data)

    @pytest.mark.parametrize(("gaps", "kept"), [(1, False), (2 * RARE, True)])
    def test_of_names_with_gaps_the_gaps_are_kept(
        self, gaps: int, kept: bool, tmp_path: Path
    ) -> None:
        table = frame(name=[f"Mrs. {n * 7 % 61} Smith" for n in range(ROWS)])
        table.loc[: gaps - 1, "name"] = None
        data = load(csv(tmp_path, table), target="kind")
        assert (names(data) == ["a", "b", "name"]) == kept
        assert f"'name'{':' if kept else ' left out:'} {ROWS - gaps} different texts" in said(data)
        assert ("kept is whether there is one" in said(data)) == kept

    def test_parquet_categories(self, tmp_path: Path) -> None:
        zones = np.array(["x", "y", "z"])[np.arange(ROWS) % 4 % 3]
        table = frame(
            zone=pd.Categorical(zones), kind=pd.Categorical(np.array(list("xyz"))[LABELS])
        )
        table.to_parquet(tmp_path / "own.parquet")
        data = load(str(tmp_path / "own.parquet"), target="kind")
        assert data.class_names == ("x", "y", "z")
        np.testing.assert_array_equal(encoded(data)[:, 2:], np.eye(3)[np.arange(ROWS) % 4 % 3])

    def test_lists_are_left_out_and_said(self, tmp_path: Path) -> None:
        frame(many=[[1, 2]] * ROWS).to_parquet(tmp_path / "own.parquet")
        data = load(str(tmp_path / "own.parquet"), target="kind")
        assert "column 'many' left out: it holds values of kind" in said(data)

    @pytest.mark.parametrize("missing", [True, False])
    def test_nullable_integers(self, missing: bool, tmp_path: Path) -> None:
        cells = [None if missing and row == 3 else int(value) for row, value in enumerate(B)]
        frame(b=pd.array(cells, "Int64")).to_parquet(tmp_path / "own.parquet")
        data = load(str(tmp_path / "own.parquet"), target="kind")
        assert np.isnan(values(data, "b")).sum() == missing

    def test_numbers_spoilt_by_a_few_texts_are_missing_and_said(self, tmp_path: Path) -> None:
        cells = [str(value) for value in B]
        cells[7], cells[9] = "?", "broken"
        data = load(csv(tmp_path, frame(b=cells)), target="kind")
        assert np.isnan(values(data, "b")).nonzero()[0].tolist() == [7, 9]
        assert "column 'b' holds numbers; its texts 'broken' are read as missing (1 rows)" in said(
            data
        )

    def test_infinite_values_are_missing_and_said(self, tmp_path: Path) -> None:
        table = frame()
        table.loc[9, "a"] = np.inf
        table.to_parquet(tmp_path / "own.parquet")
        data = load(str(tmp_path / "own.parquet"), target="kind")
        assert np.isnan(values(data, "a")).nonzero()[0].tolist() == [9]
        assert "infinite values read as missing" in said(data)

    def test_text_codes_are_levels(self, tmp_path: Path) -> None:
        frame(b=[str(row % 4) for row in range(ROWS)]).to_parquet(tmp_path / "own.parquet")
        assert encoded(load(str(tmp_path / "own.parquet"), target="kind")).shape == (ROWS, 5)

    def test_numbers_that_are_codes_on_demand(self, tmp_path: Path) -> None:
        code = np.arange(ROWS) % 4
        reading = Reading(categories="code")
        data = load(csv(tmp_path, frame(code=code)), target="kind", reading=reading)
        assert encoded(data).shape == (ROWS, 6)

    def test_codes_with_leading_zeros(self, tmp_path: Path) -> None:
        zips = [f"{1000 + row % 4:05d}" for row in range(ROWS)]
        data = load(csv(tmp_path, frame(zip=zips)), target="kind")
        assert data.columns[2].kind == "category"
        assert data.columns[2].levels[0] == "01000"

    def test_a_table_of_categories_alone(self, tmp_path: Path) -> None:
        table = frame(zone=np.array(["north", "south", "p"])[B % 3])[["zone", "kind"]]
        made = encoded(load(csv(tmp_path, table), target="kind"))
        np.testing.assert_array_equal(made.sum(axis=1), np.ones(ROWS))


class TestLabels:
    def test_text_target(self, tmp_path: Path) -> None:
        table = frame(kind=np.array(["dog", "cat", "eel"])[LABELS])
        data = load(csv(tmp_path, table), target="kind")
        assert data.class_names == ("cat", "dog", "eel")
        assert data.labels[:3].tolist() == [1, 0, 2]

    def test_01_is_not_1(self, tmp_path: Path) -> None:
        data = load(csv(tmp_path, frame(kind=np.array(["01", "1", "2"])[LABELS])), target="kind")
        assert data.class_names == ("01", "1", "2")
        assert "'01' and '1' are different classes" in said(data)

    def test_whole_numbers_are_in_numeric_order(self, tmp_path: Path) -> None:
        data = load(csv(tmp_path, frame(kind=np.array([10, 9, 8])[LABELS])), target="kind")
        assert data.class_names == ("8", "9", "10")

    def test_blanks_around_a_label_are_no_class(self, tmp_path: Path) -> None:
        kind = np.array(["cat", "dog", "eel"])[LABELS].astype(object)
        kind[::2] = " " + kind[::2] + "  "
        for table in (load(csv(tmp_path, frame(kind=kind)), target="kind"),):
            assert table.class_names == ("cat", "dog", "eel")

    def test_case_collisions_are_named(self, tmp_path: Path) -> None:
        kind = np.array(["Cat", "cat", "eel"])[LABELS]
        data = load(csv(tmp_path, frame(kind=kind)), target="kind")
        assert data.class_names == ("Cat", "cat", "eel")
        assert "Warning: own.csv: target column 'kind': 'Cat' and 'cat' are" in said(data)

    def test_a_continuous_target_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="Cut a continuous target into classes"):
            load(csv(tmp_path, frame()), target="a")

    def test_half_stars_are_classes(self, tmp_path: Path) -> None:
        data = load(csv(tmp_path, frame(kind=LABELS / 2)), target="kind")
        assert data.class_names == ("0.0", "0.5", "1.0")

    def test_booleans_of_a_parquet_file(self, tmp_path: Path) -> None:
        frame(kind=LABELS > 0).to_parquet(tmp_path / "own.parquet")
        assert load(tmp_path / "own.parquet", target="kind").class_names == ("False", "True")

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (None, r"say which column holds the classes with target=.*'a', 'b', 'kind'"),
            ("Kind", r"no column 'Kind'.*Did you mean 'kind'"),
            ("zzz", r"no column 'zzz'; its columns are 'a', 'b', 'kind'\.$"),
        ],
    )
    def test_target_errors(self, target: str | None, message: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=message):
            load(csv(tmp_path, frame()), target=target)


class TestFiles:
    @pytest.mark.parametrize("separator", [";", "\t", "|", ","])
    @pytest.mark.parametrize("suffix", [".csv", ".txt"])
    def test_separators_are_found(self, separator: str, suffix: str, tmp_path: Path) -> None:
        file = tmp_path / f"own{suffix}"
        text = np.array(["one, two", "three; four"])[np.arange(ROWS) % 2]
        frame(text=text).to_csv(file, index=False, sep=separator)
        data = load(file, target="kind")
        assert names(data) == ["a", "b", "text"]
        np.testing.assert_array_equal(values(data, "a"), FEATURES[:, 0])

    def test_tsv(self, tmp_path: Path) -> None:
        frame().to_csv(tmp_path / "own.tsv", index=False, sep="\t")
        assert names(load(tmp_path / "own.tsv", target="kind")) == ["a", "b"]

    def test_columns_of_blanks(self, tmp_path: Path) -> None:
        text = frame().to_string(index=False)
        data = load(written(tmp_path, text, "own.dat"), target="kind")
        assert names(data) == ["a", "b"]
        np.testing.assert_array_equal(data.labels, LABELS)

    def test_semicolons_with_decimal_commas(self, tmp_path: Path) -> None:
        file = csv(tmp_path, frame(), sep=";", decimal=",")
        data = load(file, target="kind")
        np.testing.assert_array_equal(values(data, "a"), FEATURES[:, 0])
        assert "decimal commas found" in said(data)
        assert "separated by semicolons" in data.card.description

    def test_thousands_in_quotes(self, tmp_path: Path) -> None:
        price = [f"{n % 40 * 977:,}" for n in range(ROWS)]
        data = load(csv(tmp_path, frame(price=price)), target="kind")
        assert values(data, "price")[:3].tolist() == [0, 977, 1954]

    @pytest.mark.parametrize(
        ("encoding", "named"),
        [
            ("cp1252", "cp1252"),
            ("utf-8", "UTF-8"),
            ("utf-8-sig", "UTF-8"),
            ("utf-16", "UTF-16"),
            ("utf-16-le", "UTF-16-LE"),
        ],
    )
    def test_encodings_are_found(self, encoding: str, named: str, tmp_path: Path) -> None:
        kind = np.array(["Größe", "Höhe", "Länge"])[LABELS]
        file = tmp_path / "own.csv"
        frame(kind=kind).rename(columns={"a": "Maß"}).to_csv(file, index=False, encoding=encoding)
        data = load(file, target="kind")
        assert data.class_names == ("Größe", "Höhe", "Länge")
        assert names(data) == ["Maß", "b"]
        assert named in data.card.description
        assert ("assumed, as it is not UTF-8" in said(data)) == (encoding == "cp1252")

    def test_an_encoding_may_be_asked_for(self, tmp_path: Path) -> None:
        kind = np.array(["ą", "ę", "ł"])[LABELS]
        file = tmp_path / "own.csv"
        frame(kind=kind).to_csv(file, index=False, encoding="cp1250")
        data = load(file, target="kind", reading=Reading(encoding="cp1250"))
        assert data.class_names == ("ą", "ę", "ł")
        with pytest.raises(DataError, match="encoding: Python knows no 'cp9999'"):
            load(file, target="kind", reading=Reading(encoding="cp9999"))

    @pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
    def test_compressed(self, ending: str, tmp_path: Path) -> None:
        file = tmp_path / f"own.csv.{ending}"
        frame().to_csv(file, index=False)
        assert names(load(file, target="kind")) == ["a", "b"]
        file.write_bytes(file.read_bytes()[:60])
        with pytest.raises(DataError, match="compressed file is damaged"):
            load(file, target="kind")

    def test_a_bomb_stops_at_the_cap(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("taylored.lab.data.tables.text_file.MAX_BYTES", 2**20)
        file = tmp_path / "own.csv.gz"
        pd.DataFrame({"a": ["x" * 100] * 20000, "kind": 1}).to_csv(file, index=False)
        with pytest.raises(DataError, match="GiB of text, the most that is read"):
            load(file, target="kind")

    def test_a_parquet_bomb_stops_at_the_cap(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr("taylored.lab.data.tables.raw.MAX_CELLS", 100)
        frame().to_parquet(tmp_path / "own.parquet")
        with pytest.raises(DataError, match="has 180 cells, more than the 100"):
            load(tmp_path / "own.parquet", target="kind")

    def test_without_a_header(self, tmp_path: Path) -> None:
        file = csv(tmp_path, frame(), header=False)
        with pytest.raises(DataError, match="first line looks like data: with header='none'"):
            load(file, target="kind")
        data = load(file, target="3", reading=Reading(header="none"))
        assert len(data.labels) == ROWS
        assert names(data) == ["1", "2"]

    def test_excel_line_naming_the_separator(self, tmp_path: Path) -> None:
        data = load(
            written(tmp_path, "sep=;\n" + frame().to_csv(index=False, sep=";")), target="kind"
        )
        assert names(data) == ["a", "b"]

    def test_a_separator_at_the_end_of_every_row(self, tmp_path: Path) -> None:
        lines = frame().to_csv(index=False).splitlines()
        text = "\n".join([lines[0], *(line + "," for line in lines[1:])])
        data = load(written(tmp_path, text), target="kind")
        assert names(data) == ["a", "b"]
        np.testing.assert_array_equal(data.labels, LABELS)

    def test_comments_at_the_top(self, tmp_path: Path) -> None:
        text = "# made by hand\n# in May\n" + frame().to_csv(index=False)
        assert names(load(written(tmp_path, text), target="kind")) == ["a", "b"]
        text = frame().rename(columns={"a": "#a"}).to_csv(index=False)
        assert names(load(written(tmp_path, text), target="kind")) == ["#a", "b"]

    @pytest.mark.parametrize("ending", ["\r", "\r\n"])
    def test_line_endings(self, ending: str, tmp_path: Path) -> None:
        text = frame().to_csv(index=False).replace("\n", ending)
        data = load(written(tmp_path, text), target="kind")
        np.testing.assert_array_equal(values(data, "a"), FEATURES[:, 0])

    def test_arff_and_keel(self, tmp_path: Path) -> None:
        head = (
            "@relation r\n@attribute a real [0, 1]\n@attribute b integer\n@attribute kind {0,1,2}\n"
        )
        text = head + "@inputs a, b\n@data\n" + frame().to_csv(index=False, header=False)
        data = load(written(tmp_path, text, "own.dat"), target="kind")
        assert names(data) == ["a", "b"]
        assert len(data.labels) == ROWS

    def test_line_breaks_and_separators_inside_quotes(self, tmp_path: Path) -> None:
        text = np.array(["one\ntwo, three", 'say "x"'])[np.arange(ROWS) % 2]
        data = load(csv(tmp_path, frame(text=text)), target="kind")
        assert data.columns[2].levels == ("one\ntwo, three", 'say "x"')

    def test_rows_longer_than_the_header_never_shift_the_columns(self, tmp_path: Path) -> None:
        rows = "".join(
            f"{row},{row % 2},{row % 3}" + ",9" * (row == 40) + "\n" for row in range(60)
        )
        with pytest.raises(DataError, match="cannot be read as a table"):
            load(written(tmp_path, "a,b,kind\n" + rows), target="kind")

    def test_short_rows_are_counted(self, tmp_path: Path) -> None:
        text = frame()[["kind", "a", "b"]].to_csv(index=False)
        lines = text.splitlines()
        lines[5] = ",".join(lines[5].split(",")[:2])
        data = load(written(tmp_path, "\n".join(lines)), target="kind")
        assert "1 rows are shorter than the header" in said(data)
        assert np.isnan(values(data, "b")).nonzero()[0].tolist() == [4]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("own.csv", b"", "no column 'kind'"),
            ("own.csv", b"a,kind\n", "no rows"),
            ("own.csv", b"kind\n1\n2\n", "no columns besides"),
            ("own.csv", b"a,kind\n1,2\n1,2,3,4\n", "cannot be read as a table"),
            ("own.csv", b"\xff\xfe\x00a,kind\n\xff", "cannot be read as a table"),
            ("own.csv", b"PK\x03\x04....", "an Excel or zip file"),
            ("own.csv", b"a,k\x00ind\n1,2\n", "NUL characters"),
            ("own.parquet", b"not parquet", "cannot be read as a table"),
            ("own.xlsx", b"", "lab.compare(data=pandas.read_excel("),
            ("own.foo", b"", "Expected .npz, .csv, .tsv"),
            ("own", b"", "cannot tell the format"),
        ],
    )
    def test_unusable_files(self, name: str, content: bytes, message: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=re.escape(message)):
            load(str(tmp_path / name), target="kind")

    def test_options_that_do_not_apply_are_refused(self, tmp_path: Path) -> None:
        file = csv(tmp_path, frame())
        with pytest.raises(DataError, match="image_size: for folders of images only"):
            load(file, target="kind", reading=Reading(image_size=64))
        with pytest.raises(DataError, match="drop: .*no column 'Id'"):
            load(file, target="kind", reading=Reading(drop="Id"))
        with pytest.raises(DataError, match="na: for tables only"):
            load("digits-lt", reading=Reading(na="?"))


class TestGroups:
    def test_rows_of_a_group_stay_in_one_part(self, tmp_path: Path) -> None:
        patient = np.arange(ROWS) % 20
        reading = Reading(group="patient")
        data = load(csv(tmp_path, frame(patient=patient)), target="kind", reading=reading)
        assert names(data) == ["a", "b"]
        for seed in range(5):
            split = parts(data, seed)
            values = [set(patient[rows]) for rows in split.all]
            assert not values[0] & values[1] | values[0] & values[2] | values[1] & values[2]
            assert 9 <= len(split.test) <= 15


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
